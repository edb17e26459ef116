/* Runs one of stapes' applications as a task; always on the same core, whose cycles it counts. */
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "sdkconfig.h"

int stapes_main(void);

static void run(void *context) {
    (void)context;
    (void)stapes_main();
    vTaskDelete(NULL);
}

void app_main(void) {
    (void)xTaskCreatePinnedToCore(run, "stapes", CONFIG_STAPES_STACK_BYTES, NULL, 1, NULL, 0);
}
