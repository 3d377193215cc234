/* SPDX-License-Identifier: MIT */
/*
 * As insn_system, with many more instances and of the run's seed: --seed makes the same again.
 */
#include "scenes.h"

CASE(insn_system_seed, .says = "many privileged and faulting instructions do what the manual says",
     .modes = NO_GUEST, .needs = "vendor:amd cpuid:nx tdp", .rows = ROWS(scenes_rows), .timeout_ms = 300000, .is_nightly = true)

HOST(insn_system_seed)
{
	scenes_compare_all(t, ROW(t, scenes_rows), t->seed, 5000);
}
