/* SPDX-License-Identifier: MIT */
/*
 * Random instances of what only a supervisor may execute and of what faults, in each mode of the CPU and at CPL 0 and 3:
 * control, debug and model-specific registers, descriptor tables, far transfers through gates, segment loads, IRET,
 * SYSCALL and SYSENTER, ports, page faults. Registers, segments with what is hidden of them, memory and the frame of what
 * was raised are what the machine (harness/machine), an executable specification, says. A difference is told with its
 * bytes, seed and index.
 *
 * Can break: an intercept's checks against the CPU's (privilege before or after, CPL 3, virtual-8086 mode), what KVM
 * completes of an intercepted instruction, an error code, a register that is reloaded wrongly after it.
 * Source: APM vol. 2, chapters 3, 4, 5, 6, 8 and 12; vol. 3, chapter 4.
 */
#include "scenes.h"

CASE(insn_system, .says = "privileged and faulting instructions at random do what the manual says",
     .modes = NO_GUEST, .needs = "vendor:amd cpuid:nx tdp", .rows = ROWS(scenes_rows), .timeout_ms = 120000)

HOST(insn_system)
{
	scenes_compare_all(t, ROW(t, scenes_rows), 0x5eed, 250);
}
