/* What Kconfig would write, for the tests' stand-in of ESP-IDF. */
#define CONFIG_IDF_TARGET               "linux"
#define CONFIG_ESP_DEFAULT_CPU_FREQ_MHZ 160
#define CONFIG_STAPES_STACK_BYTES       8192
#define CONFIG_STAPES_UART_PORT         0
#define CONFIG_STAPES_UART_TX           21
#define CONFIG_STAPES_UART_RX           20
#define CONFIG_STAPES_LED               8
#define CONFIG_STAPES_I2S_BCLK          4
#define CONFIG_STAPES_I2S_WS            5
#define CONFIG_STAPES_I2S_DIN           6
#define CONFIG_STAPES_I2S_GAIN          256
