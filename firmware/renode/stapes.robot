*** Comments ***
Every bit of a board in Renode, as one test of renode-test, from the top of a checkout and with `stapes` on PATH:
renode-test firmware/renode/stapes.robot

*** Settings ***
Library           Process

*** Variables ***
${BUNDLE}         models/esc10-nano
${PLATFORM}       stm32f4_discovery
${UART}           sysbus.usart2
${PORT}           4321
${BUILD}          build/robot

*** Test Cases ***
Every Bit Should Be Equal
    Run Stapes    build  ${BUNDLE}  --board  ${PLATFORM}  --out  ${BUILD}
    Execute Command    $global.platform=@${CURDIR}/${PLATFORM}.repl
    Execute Command    $global.elf=@${EXECDIR}/${BUILD}/${PLATFORM}/stapes.elf
    Execute Command    $global.uart="${UART}"
    Execute Command    $global.name="stapes"
    Execute Command    $global.line="line"
    Execute Command    $global.port=${PORT}
    Execute Command    $global.quantum="0.0001"
    Execute Command    include @${CURDIR}/stapes.resc
    Run Stapes    check  ${BUNDLE}  --target  renode:${PLATFORM}@${PORT}  --clips  1  --out  ${BUILD}

*** Keywords ***
Run Stapes
    [Arguments]    @{words}
    ${done}=    Run Process    stapes  @{words}  stderr=STDOUT  timeout=15min
    Log    ${done.stdout}
    Should Be Equal As Integers    ${done.rc}    0    ${done.stdout}
