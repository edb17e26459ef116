/* What start-up does to RAM, on any bare-metal board whose linker script includes sections.ld or gives the
   same names. It answers board_stack_high_water(). */
#ifndef STAPES_STARTUP_H
#define STAPES_STARTUP_H

/* Paints the unused stack, copies .data, clears .bss; leaves .noinit alone. Called on the stack, before
 * anything else. */
void startup_memory(void);

#endif
