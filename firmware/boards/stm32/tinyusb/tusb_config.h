/* TinyUSB's configuration: one CDC port on the full-speed core, no operating system. */
#ifndef STAPES_TUSB_CONFIG_H
#define STAPES_TUSB_CONFIG_H

#define CFG_TUSB_OS            OPT_OS_NONE
#define CFG_TUD_ENABLED        1
#define CFG_TUSB_RHPORT0_MODE  (OPT_MODE_DEVICE | OPT_MODE_FULL_SPEED)
#define CFG_TUD_ENDPOINT0_SIZE 64
#define CFG_TUD_CDC            1
#define CFG_TUD_CDC_RX_BUFSIZE 512
#define CFG_TUD_CDC_TX_BUFSIZE 256
/* What nobody reads is not overwritten: half a frame helps nobody. */
#define CFG_TUD_CDC_TX_OVERWRITABLE_IF_NOT_CONNECTED 0

#endif
