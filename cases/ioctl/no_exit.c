/* SPDX-License-Identifier: MIT */
/*
 * What KVM does for the guest inside the kernel never shows as an exit: the next thing user space hears of is the OUT
 * behind it, with RIP and everything that the instruction does not name unchanged.
 *
 * Can break: an exit handler that returns 0 ("to user space") instead of 1; the instruction skipped twice; a register
 * of the instruction's result written wrongly wide.
 * Source: KVM API, section 5 (the exits there are); APM vol. 3, each instruction's page.
 */
#include "cases/ioctl/blob.h"

#define MARK "\n\tout %al, $0x80"
#define LOAD "mov $1, %eax\n\tmov $2, %ebx\n\tmov $3, %ecx\n\tmov $4, %edx"
#define LOADED .out = { REG(RAX, 1), REG(RBX, 2), REG(RCX, 3), REG(RDX, 4) }

BLOB(cpuid, "xor %eax, %eax\n\tcpuid\n\t" LOAD MARK)
BLOB(rdtsc, "rdtsc\n\t" LOAD MARK)
BLOB(rdtscp, "rdtscp\n\t" LOAD MARK)
BLOB(rdmsr, "mov $0x174, %ecx\n\trdmsr" MARK)
BLOB(wrmsr, "mov $0x277, %ecx\n\trdmsr\n\twrmsr\n\t" LOAD MARK)
BLOB(rdmsr_efer, "mov $0xc0000080, %ecx\n\trdmsr\n\twrmsr\n\t" LOAD MARK)
BLOB(cr0, ".byte 0x0f, 0x20, 0xc0, 0x0f, 0x22, 0xc0\n\t" LOAD MARK)
BLOB(cr3, ".byte 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8\n\t" LOAD MARK)
BLOB(cr4, ".byte 0x0f, 0x20, 0xe0, 0x0f, 0x22, 0xe0\n\t" LOAD MARK)
BLOB(dr7, ".byte 0x0f, 0x21, 0xf8, 0x0f, 0x23, 0xf8\n\t" LOAD MARK)
BLOB(dr0, "mov $5, %eax\n\t.byte 0x0f, 0x23, 0xc0, 0x0f, 0x21, 0xc1" MARK)
BLOB(clts, "clts" MARK)
BLOB(smsw_lmsw, "smsw %ax\n\tlmsw %ax\n\t" LOAD MARK)
BLOB(invlpg, "invlpg (%edi)" MARK)
BLOB(wbinvd, "wbinvd" MARK)
BLOB(invd, "invd" MARK)
BLOB(pause, "pause\n\tpause\n\tpause\n\tpause" MARK)
BLOB(sti_cli, "sti\n\tnop\n\tcli" MARK)

#define MARKED(value_) .steps = { OUT(0x80, 1, value_) }

static const struct blob_row rows[] = {
	{ .label = "cpuid", BLOB_OF(cpuid), MARKED(1), LOADED, FLAGS(PF | ZF), .undefined = AF },
	{ .label = "rdtsc", BLOB_OF(rdtsc), MARKED(1), LOADED },
	{ .label = "rdtscp", .needs = "cpuid:rdtscp", BLOB_OF(rdtscp), MARKED(1), LOADED },
	{ .label = "rdmsr", .needs = "cpuid:sep", BLOB_OF(rdmsr), MARKED(0),
	  .out = { REG(RAX, 0), REG(RDX, 0), REG(RCX, 0x174) } },
	{ .label = "rdmsr_wrmsr", .needs = "cpuid:pat", BLOB_OF(wrmsr), MARKED(1), LOADED },
	{ .label = "efer", BLOB_OF(rdmsr_efer), MARKED(1), LOADED },
	{ .label = "cr0", BLOB_OF(cr0), MARKED(1), LOADED },
	{ .label = "cr3", BLOB_OF(cr3), MARKED(1), LOADED },
	{ .label = "cr4", BLOB_OF(cr4), MARKED(1), LOADED },
	{ .label = "dr7", BLOB_OF(dr7), MARKED(1), LOADED },
	{ .label = "dr0", BLOB_OF(dr0), MARKED(5), .out = { REG(RAX, 5), REG(RCX, 5) } },
	{ .label = "clts", BLOB_OF(clts), MARKED(0xa8) },
	{ .label = "smsw_lmsw", BLOB_OF(smsw_lmsw), MARKED(1), LOADED },
	{ .label = "invlpg", BLOB_OF(invlpg), MARKED(0xa8) },
	{ .label = "wbinvd", BLOB_OF(wbinvd), MARKED(0xa8) },
	{ .label = "invd", BLOB_OF(invd), MARKED(0xa8) },
	{ .label = "pause", BLOB_OF(pause), MARKED(0xa8) },
	{ .label = "sti_cli", BLOB_OF(sti_cli), MARKED(0xa8) },
};

CASE(no_exit, .says = "what KVM handles in the kernel is no exit and changes only what it names",
     .modes = REAL16 | PROT32 | LONG64, .rows = ROWS(rows))

GUEST(no_exit)
{
}

HOST(no_exit)
{
	blob_run(t, ROW(t, rows));
}
