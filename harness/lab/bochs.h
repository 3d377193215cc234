/* SPDX-License-Identifier: MIT */
/* Bochs, an interpreter of x86 machine code whose CPU models have VMX and SVM. */
#ifndef VMASSAY_LAB_BOCHS_H
#define VMASSAY_LAB_BOCHS_H

struct emulator_plan;

/*
 * Bochs' configuration file for @plan, whose medium is the hard disk; malloced, NULL without memory.
 */
char *bochs_configuration(const struct emulator_plan *plan);

#endif
