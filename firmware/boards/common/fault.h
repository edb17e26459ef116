/* The report of the last fault, in RAM that start-up leaves alone (section .noinit). It answers
 * board_fault(). */
#ifndef STAPES_FAULT_H
#define STAPES_FAULT_H

#include "board.h"

/* Called by the fault handler, before it resets. Needs little stack. */
void fault_keep(const board_fault_t *fault);

/* Called at start, when the hardware says that the watchdog reset the chip: a kept report says more and
 * stays. */
void fault_keep_watchdog(void);

#endif
