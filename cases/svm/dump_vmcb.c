/* SPDX-License-Identifier: MIT */
/*
 * A VMCB that the CPU refuses is written to the kernel's log when kvm_amd.dump_invalid_vmcb asks for it, with the guest's
 * state field by field; otherwise the log only names the parameter.
 *
 * Can break: a field printed from another, or from the VMCB that does not hold it: who reads the log looks for the fault
 * in the wrong place.
 * Source: the log's own words; APM vol. 2, 15.5.1 (CS.L and CS.D in long mode), appendix B (VMCB layout).
 */
#include "case.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cases/ioctl/vcpu_state.h"

#define PARAM "/sys/module/kvm_amd/parameters/dump_invalid_vmcb"
#define HINT "set kvm_amd.dump_invalid_vmcb=1"
#define LOG_BYTES 65536

struct row {
	ROW_FIELDS;
	bool is_on;
};

static const struct row rows[] = {
	{ .label = "off" },
	{ .label = "on", .is_on = true },
};

CASE(dump_vmcb, .says = "a refused VMCB is in the kernel's log when asked for", .modes = LONG64,
     .needs = "vendor:amd root lab", .alone = true, .rows = ROWS(rows),
     .known = { "1205-bochs-refused-vmrun-hangs", "lab-svm-bochs", .is_skipped = true })

GUEST(dump_vmcb)
{
	out8(0x80, 0x5a);
}

static void param_set(struct test *t, const char *value)
{
	int fd = open(PARAM, O_WRONLY | O_CLOEXEC);

	require_true(t, fd >= 0);
	require_result(t, 1, write(fd, value, 1));
	close(fd);
}

/* What the kernel logs from now on. */
static int log_open(struct test *t)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	require_true(t, fd >= 0);
	require_result(t, 0, lseek(fd, 0, SEEK_END));
	return fd;
}

/* The log's records, one behind the other; the caller frees it. */
static char *log_read(struct test *t, int fd)
{
	char *log = calloc(1, LOG_BYTES + 1);
	size_t len = 0;
	ssize_t got;

	require_true(t, log != NULL);
	while (len < LOG_BYTES && (got = read(fd, log + len, LOG_BYTES - len)) > 0)
		len += got;
	close(fd);
	return log;
}

static void __attribute__((format(printf, 3, 4))) expect_line(struct test *t, const char *log, const char *format, ...)
{
	char line[128] = "";
	va_list values;

	va_start(values, format);
	vsnprintf(line, sizeof(line), format, values);
	va_end(values);
	test_check_text(t, AT_EXPECT, format, line, strstr(log, line) ? line : "not in the log");
}

/* The attributes as a VMCB has them: the descriptor's, packed. */
static unsigned int segment_attributes(const struct kvm_segment *s)
{
	return s->type | s->s << 4 | s->dpl << 5 | s->present << 7 | s->avl << 8 | s->l << 9 | s->db << 10 | s->g << 11;
}

static void expect_segment(struct test *t, const char *log, const char *name, const struct kvm_segment *s)
{
	expect_line(t, log, "%-5s s: %04x a: %04x l: %08x b: %016llx", name, s->selector, segment_attributes(s), s->limit,
		    s->base);
}

static void expect_table(struct test *t, const char *log, const char *name, const struct kvm_dtable *table)
{
	expect_line(t, log, "%-5s s: 0000 a: 0000 l: %08x b: %016llx", name, table->limit, table->base);
}

static void expect_pair(struct test *t, const char *log, const char *one, uint64_t value_one, const char *two,
			uint64_t value_two)
{
	expect_line(t, log, "%-15s %016llx %-13s %016llx", one, (unsigned long long)value_one, two,
		    (unsigned long long)value_two);
}

/* MSRs of the second half of the save area: what the log must say of them was set before. */
static const struct {
	uint32_t index;
	uint64_t value;
} msrs[] = {
	{ MSR_STAR, 0x0013000800112233 }, { MSR_LSTAR, 0x1111000 }, { MSR_CSTAR, 0x2222000 },
	{ MSR_SYSCALL_MASK, 0x47700 }, { MSR_KERNEL_GS_BASE, 0x3333000 }, { MSR_IA32_SYSENTER_CS, 0x1234 },
	{ MSR_IA32_SYSENTER_ESP, 0x4444000 }, { MSR_IA32_SYSENTER_EIP, 0x5555000 },
};

static void state_spoil(struct test *t, struct kvm_sregs *sregs, struct kvm_regs *regs)
{
	unsigned int i;

	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, sregs);
	sregs->cs.db = 1;
	sregs->es.base = 0x1000;
	sregs->ds.base = 0x2000;
	sregs->fs.base = 0x3000;
	sregs->gs.base = 0x4000;
	sregs->ldt.base = 0x5000;
	sregs->cr2 = 0x6000;
	vcpu_ioctl(t->vcpu, KVM_SET_SREGS, sregs);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, regs);
	regs->rax = 0x123456789abcdef0;
	regs->rsp -= 0x10;
	vcpu_ioctl(t->vcpu, KVM_SET_REGS, regs);
	for (i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
		require_result(t, 1, msr_set_try(t->vcpu, msrs[i].index, msrs[i].value));
}

static void expect_dump(struct test *t, const char *log, const struct kvm_sregs *sregs, const struct kvm_regs *regs)
{
	expect_line(t, log, "VMCB Control Area:");
	expect_line(t, log, "%-20s%08x", "exit_code:", 0xffffffffu);
	expect_line(t, log, "%-20s%08x", "event_inj:", 0);
	expect_line(t, log, "%-20s%08x", "int_state:", 0);
	expect_line(t, log, "VMCB State Save Area:");
	expect_segment(t, log, "es:", &sregs->es);
	expect_segment(t, log, "cs:", &sregs->cs);
	expect_segment(t, log, "ss:", &sregs->ss);
	expect_segment(t, log, "ds:", &sregs->ds);
	expect_segment(t, log, "fs:", &sregs->fs);
	expect_segment(t, log, "gs:", &sregs->gs);
	expect_segment(t, log, "ldtr:", &sregs->ldt);
	expect_segment(t, log, "tr:", &sregs->tr);
	expect_table(t, log, "gdtr:", &sregs->gdt);
	expect_table(t, log, "idtr:", &sregs->idt);
	expect_line(t, log, "cpl:  0               efer:          %016llx",
		    (unsigned long long)sregs->efer | EFER_SVME);
	expect_pair(t, log, "dr6:", 0xffff0ff0, "dr7:", 0x400);
	expect_pair(t, log, "rsp:", regs->rsp, "rax:", regs->rax);
	expect_pair(t, log, "star:", msrs[0].value, "lstar:", msrs[1].value);
	expect_pair(t, log, "cstar:", msrs[2].value, "sfmask:", msrs[3].value);
	expect_pair(t, log, "kernel_gs_base:", msrs[4].value, "sysenter_cs:", msrs[5].value);
	expect_pair(t, log, "sysenter_esp:", msrs[6].value, "sysenter_eip:", msrs[7].value);
}

HOST(dump_vmcb)
{
	const struct row *row = ROW(t, rows);
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	char *log;
	int fd;

	state_spoil(t, &sregs, &regs);
	param_set(t, row->is_on ? "Y" : "N");
	fd = log_open(t);
	require_result(t, 0, vcpu_run_try(t->vcpu));
	param_set(t, "N");
	log = log_read(t, fd);
	expect_eq(t, KVM_EXIT_FAIL_ENTRY, t->vcpu->run->exit_reason);
	if (row->is_on)
		expect_dump(t, log, &sregs, &regs);
	else
		expect_line(t, log, HINT);
	expect_eq(t, row->is_on, !strstr(log, HINT));
	expect_eq(t, row->is_on, !!strstr(log, "VMCB Control Area:"));
	free(log);
}
