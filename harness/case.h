/* SPDX-License-Identifier: MIT */
/*
 * The one header a case includes.
 *
 * A case is a file with both halves: GUEST() runs in the virtual machine, HOST() drives it and states what must come
 * out. The file is compiled once for the host and once for each width of the guest; both builds see both halves, so no
 * #ifdef is needed. CASE() is the case's metadata; its id is the file's name.
 *
 *	CASE(pio_out_byte, .says = "OUT imm8, AL reaches user space once", .modes = LONG64)
 *	GUEST(pio_out_byte) { out8(0x80, 0x5a); }
 *	HOST(pio_out_byte)
 *	{
 *		expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5a);
 *		expect_done(t);
 *	}
 *
 * expect_x() runs the vCPU to its next exit, compares the whole record (fields not named are zero), notes what differs
 * and goes on; require_x() also ends the case. A case that made no check is an ERROR.
 */
#ifndef VMASSAY_CASE_H
#define VMASSAY_CASE_H

#include <linux/errno.h>
#include <linux/kvm.h>
#include <asm/svm.h>
#include <asm/vmx.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guests/guest.h"
#include "vm/exit.h"
#include "vm/vm.h"
#include "vm/x86/bits.h"
#include "vm/x86/mode.h"
#include "vm/x86/state.h"

struct test;

/*
 * A divergence that is written up in reports/findings/: a FAIL there is KNOWN, a PASS is a FAIL. Where a test has more
 * than one, the first that speaks of the target and kernel counts: .next = &(const struct known){ ... }.
 */
struct known {
	const char *finding;	/* "0001-slug": reports/findings/0001-slug.md */
	const char *targets;	/* glob, also "@(lab-vmx|lab-svm-bochs)"; NULL: all, and soft-svm may also pass */
	const char *kernels;	/* "5.10..6.6": both ends belong to it, either may be empty; NULL: all */
	bool is_skipped;	/* not run there: takes the whole target with it, or comes out now so, now so */
	const char *needs;	/* as a case's: where they are not met, it does not hold; NULL: everywhere */
	const struct known *next;
};

struct case_desc {
	const char *id;
	const char *file;
	const char *says;	/* the claim, in one sentence */
	unsigned int modes;	/* bits of guests/abi.h; more than one makes a test of each; NO_GUEST: host only */
	const char *needs;	/* runner/needs.h: "KVM_CAP_X cpuid:la57 vendor:amd nested param:kvm.x=1" */
	unsigned int nr_vcpus;	/* 0 stands for 1 */
	bool irqchip;		/* KVM_CREATE_IRQCHIP before the vCPUs */
	bool manual;		/* HOST() makes the VM itself: t->vm and t->vcpu are NULL */
	bool alone;		/* no other test runs meanwhile: it looks at what belongs to the whole kernel */
	bool shadow_too;	/* labs judge it a second time, on a machine whose KVM has only shadow paging */
	bool smp_too;		/* labs judge it a second time, on a machine with more than one CPU */
	bool is_canary;		/* runs first; when it fails, nothing else is run */
	bool is_nightly;	/* selected with --nightly only */
	unsigned int timeout_ms;	/* 0: the run's */
	struct known known;
	const void *rows;	/* ROWS(table): each row is a test */
	size_t nr_rows;
	size_t row_bytes;
	void (*host)(struct test *t);
};

/* The first members of every row: struct row { ROW_FIELDS; ... }; */
struct row_head {
	const char *label;
	unsigned int modes;	/* fewer than the case's; 0: all of them */
	const char *needs;	/* beside the case's; NULL: none */
	struct known known;
};

#define ROW_FIELDS									\
	struct {									\
		const char *label;							\
		unsigned int modes;							\
		const char *needs;							\
		struct known known;							\
	}

/* A row's function for HOST(), in a table that GUEST() reads too: no reference to the host's half reaches the image. */
#ifdef VMASSAY_GUEST
#define ON_HOST(function_) (0 ? (function_) : NULL)
#else
#define ON_HOST(function_) (function_)
#endif

#define ROWS(table_) (table_), .nr_rows = sizeof(table_) / sizeof((table_)[0]), .row_bytes = sizeof((table_)[0])

/* The row that this test is about: HOST: ROW(t, rows), GUEST: GUEST_ROW(rows). */
#define ROW(t_, table_) (&(table_)[(t_)->row])
#define GUEST_ROW(table_) (&(table_)[abi_self()->row])

#ifdef VMASSAY_GUEST
#define CASE_PLACE(id_) static const struct case_desc *const case_at_##id_ __attribute__((unused)) = &case_##id_;
#define GUEST(id_) void guest_main(void); void guest_main(void)
#else
#define CASE_PLACE(id_)									\
	static const struct case_desc *const case_at_##id_				\
		__attribute__((section("vmassay_cases"), used)) = &case_##id_;
#define GUEST(id_) static void __attribute__((unused)) guest_##id_(void)
#endif

#define CASE(id_, ...)									\
	static void host_##id_(struct test *t);						\
	static const struct case_desc case_##id_ __attribute__((unused)) = {		\
		.id = #id_, .file = __FILE__, .host = host_##id_, __VA_ARGS__ };	\
	CASE_PLACE(id_)

#define HOST(id_) static void __attribute__((unused)) host_##id_(struct test *t)

/* An instruction, or a few, as a function of the guest's image, for rows to name: INSN(name, "mov %eax, (%edi)"). */
#ifdef VMASSAY_GUEST
#define INSN(name_, text_)								\
	extern const char name_[], name_##_end[];					\
	__asm__(".pushsection .text\n.globl " #name_ "\n" #name_ ":\n" text_ "\n"	\
		#name_ "_end:\n.globl " #name_ "_end\n.popsection");
#else
#define INSN(name_, text_) extern const char name_[] __attribute__((weak)), name_##_end[] __attribute__((weak));
#endif

/* --- the test that runs: HOST()'s t --- */

#define TEST_MAX_VMS 8

struct guest_elf;
struct guest_image;
struct hw_log;
struct recorder;
struct result;

struct test {
	const struct case_desc *desc;
	unsigned int row;
	unsigned int mode;	/* one bit; NO_GUEST: none */
	uint64_t seed;		/* of this test; the same in every run with the same --seed */
	struct sys *sys;
	struct vm *vm;
	struct vcpu *vcpu;	/* the one that expect_x() runs; a case may point it elsewhere */

	/* The rest is the runner's. */
	struct exit_record exit;	/* of the last run */
	const struct guest_image *image;	/* of .mode; NULL: there is none */
	struct guest_elf *elf;			/* of it, once needed */
	struct vm *vms[TEST_MAX_VMS];
	unsigned int nr_vms;
	uint32_t nr_records_taken[ABI_MAX_VCPUS];
	uint64_t nr_guest_checks[ABI_MAX_VCPUS];
	struct result *result;
	struct hw_log *hw_log;		/* NULL: not recorded */
	struct recorder *recorder;	/* NULL: what the test meets of the interface is not noted */
	bool has_run;
	bool has_dump;
	bool is_over;		/* no further exit can come: done, died, or lost */
	volatile bool is_timed_out;
	volatile bool was_running;	/* inside KVM_RUN when its time was over */
	void (*publish)(struct test *t);
};

/* --- set-up, for .manual cases and those that need more than one VM; all of it must succeed --- */

/* A VM that the runner destroys. */
struct vm *test_vm(struct test *t);

/* RAM for the test's mode in slot 0, the tables and the guest's image; then vCPUs that are about to enter it. */
void guest_load(struct test *t, struct vm *vm);
struct vcpu *guest_vcpu(struct test *t, struct vm *vm, unsigned int index);

/* The report page of vCPU @index in t->vm; arguments for the guest and values from it. */
struct abi_page *guest_page(struct test *t, unsigned int index);
void guest_arg(struct test *t, unsigned int index, uint64_t value);
uint64_t guest_value(struct test *t, unsigned int index);
/* The value of a symbol of the guest's image. */
uint64_t guest_symbol(struct test *t, const char *name);
/* The scratch RAM and the region without a slot, in this test's mode. */
uint64_t test_scratch_gpa(const struct test *t);
uint64_t test_mmio_gpa(const struct test *t);

/* --- checks --- */

/* Which extensions the hardware's exits are of; the numbers are those of KVM's tracepoints. */
#define KVM_ISA_VMX 1
#define KVM_ISA_SVM 2

enum check_kind {
	CHECK_EXPECT,	/* goes on */
	CHECK_REQUIRE,	/* ends the case when it does not hold */
};

struct check_at {
	const char *file;
	unsigned int line;
	enum check_kind kind;
};

#define AT_EXPECT ((struct check_at){ __FILE__, __LINE__, CHECK_EXPECT })
#define AT_REQUIRE ((struct check_at){ __FILE__, __LINE__, CHECK_REQUIRE })

/* Each returns true when the check held. */
bool test_check_exit(struct test *t, struct check_at at, const struct exit_record *want);
bool test_check_pio(struct test *t, struct check_at at, const struct exit_io *want);
bool test_check_pio_in(struct test *t, struct check_at at, const struct exit_io *want, const void *reply,
		       uint64_t value);
bool test_check_mmio(struct test *t, struct check_at at, const struct exit_mmio *want);
bool test_check_mmio_read(struct test *t, struct check_at at, const struct exit_mmio *want, uint64_t value);
bool test_check_done(struct test *t, struct check_at at);
bool test_check_sync(struct test *t, struct check_at at, uint32_t stage);
bool test_check_all_done(struct test *t, struct check_at at);
bool test_check_run_error(struct test *t, struct check_at at, int error);
bool test_check_u64(struct test *t, struct check_at at, const char *text, uint64_t want, uint64_t got);
bool test_check_result(struct test *t, struct check_at at, const char *text, long want, long got);
bool test_check_bytes(struct test *t, struct check_at at, const char *text, const void *want, const void *got,
		      size_t len_bytes);
bool test_check_regs(struct test *t, struct check_at at, const struct kvm_regs *want, const struct kvm_regs *got);
bool test_check_sregs(struct test *t, struct check_at at, const struct kvm_sregs *want,
		      const struct kvm_sregs *got);
/* Two strings; shown whole. */
bool test_check_text(struct test *t, struct check_at at, const char *text, const char *want, const char *got);
bool test_check_true(struct test *t, struct check_at at, const char *text, bool holds);

/* Any exit: expect_exit(t, .reason = KVM_EXIT_HLT). */
#define EXIT_RECORD(...) (&(struct exit_record){ __VA_ARGS__ })
#define expect_exit(t_, ...) test_check_exit(t_, AT_EXPECT, EXIT_RECORD(__VA_ARGS__))
#define require_exit(t_, ...) test_check_exit(t_, AT_REQUIRE, EXIT_RECORD(__VA_ARGS__))

#define EXIT_PIO(direction_, ...) (&(struct exit_io){ .direction = direction_, __VA_ARGS__ })
#define EXIT_MMIO(is_write_, ...) (&(struct exit_mmio){ .is_write = is_write_, __VA_ARGS__ })

/* OUT: .port, .size, .count, and .data (up to 8 bytes) or .bytes and .nr_bytes. */
#define expect_pio_out(t_, ...) test_check_pio(t_, AT_EXPECT, EXIT_PIO(KVM_EXIT_IO_OUT, __VA_ARGS__))
#define require_pio_out(t_, ...) test_check_pio(t_, AT_REQUIRE, EXIT_PIO(KVM_EXIT_IO_OUT, __VA_ARGS__))
/* IN: @value_ is what the port answers; the _bytes form answers size * count bytes. */
#define expect_pio_in(t_, value_, ...)							\
	test_check_pio_in(t_, AT_EXPECT, EXIT_PIO(KVM_EXIT_IO_IN, __VA_ARGS__), NULL, value_)
#define require_pio_in(t_, value_, ...)							\
	test_check_pio_in(t_, AT_REQUIRE, EXIT_PIO(KVM_EXIT_IO_IN, __VA_ARGS__), NULL, value_)
#define expect_pio_in_bytes(t_, bytes_, ...)						\
	test_check_pio_in(t_, AT_EXPECT, EXIT_PIO(KVM_EXIT_IO_IN, __VA_ARGS__), bytes_, 0)
/* MMIO: .phys_addr, .len, .data. */
#define expect_mmio_write(t_, ...) test_check_mmio(t_, AT_EXPECT, EXIT_MMIO(1, __VA_ARGS__))
#define require_mmio_write(t_, ...) test_check_mmio(t_, AT_REQUIRE, EXIT_MMIO(1, __VA_ARGS__))
#define expect_mmio_read(t_, value_, ...) test_check_mmio_read(t_, AT_EXPECT, EXIT_MMIO(0, __VA_ARGS__), value_)
#define require_mmio_read(t_, value_, ...) test_check_mmio_read(t_, AT_REQUIRE, EXIT_MMIO(0, __VA_ARGS__), value_)
#define expect_hlt(t_) expect_exit(t_, .reason = KVM_EXIT_HLT)
#define require_hlt(t_) require_exit(t_, .reason = KVM_EXIT_HLT)
#define expect_shutdown(t_) expect_exit(t_, .reason = KVM_EXIT_SHUTDOWN)
#define expect_irq_window(t_) expect_exit(t_, .reason = KVM_EXIT_IRQ_WINDOW_OPEN)

/* The guest returned from GUEST(); any other exit before that is a failure. */
#define expect_done(t_) test_check_done(t_, AT_EXPECT)
#define require_done(t_) test_check_done(t_, AT_REQUIRE)
/* The guest is at guest_sync(@stage_). */
#define expect_sync(t_, stage_) test_check_sync(t_, AT_EXPECT, stage_)
#define require_sync(t_, stage_) test_check_sync(t_, AT_REQUIRE, stage_)
/* Runs every vCPU of t->vm in a thread of its own until all of them are done. */
#define expect_all_done(t_) test_check_all_done(t_, AT_EXPECT)
/* KVM_RUN itself fails with @errno_ (EINTR, EFAULT, ...), without an exit. */
#define expect_run_error(t_, errno_) test_check_run_error(t_, AT_EXPECT, errno_)

/* The vCPU has left user space's part of an exit behind: what its last OUT, IN or MMIO had still to do is done. */
static inline void vcpu_settle(struct test *t)
{
	t->vcpu->run->immediate_exit = 1;
	expect_run_error(t, EINTR);
	t->vcpu->run->immediate_exit = 0;
}

#define expect_eq(t_, want_, got_) test_check_u64(t_, AT_EXPECT, #got_, want_, got_)
#define require_eq(t_, want_, got_) test_check_u64(t_, AT_REQUIRE, #got_, want_, got_)
#define expect_true(t_, condition_) test_check_true(t_, AT_EXPECT, #condition_, condition_)
#define require_true(t_, condition_) test_check_true(t_, AT_REQUIRE, #condition_, condition_)
/* A call of an x_try() function: fails with just this errno, or returns just this number. */
#define expect_errno(t_, errno_, call_) test_check_result(t_, AT_EXPECT, #call_, -(long)(errno_), call_)
#define expect_result(t_, want_, call_) test_check_result(t_, AT_EXPECT, #call_, want_, call_)
#define require_result(t_, want_, call_) test_check_result(t_, AT_REQUIRE, #call_, want_, call_)
#define expect_bytes(t_, want_, got_, len_) test_check_bytes(t_, AT_EXPECT, #got_, want_, got_, len_)
/* All fields; the ones that differ are named. */
#define expect_regs(t_, want_, got_) test_check_regs(t_, AT_EXPECT, want_, got_)
#define expect_sregs(t_, want_, got_) test_check_sregs(t_, AT_EXPECT, want_, got_)

/* --- hardware exits --- */

bool test_check_hw_exits(struct test *t, struct check_at at, uint32_t isa, const uint64_t *want, size_t nr);
bool test_check_nested_exits(struct test *t, struct check_at at, uint32_t isa, const uint64_t *want, size_t nr);
bool test_check_refused(struct test *t, struct check_at at, const char *want);
/* What came until now is not of interest. */
void test_forget_hw_exits(struct test *t);

/*
 * The hardware exits of the vCPUs that this thread ran, since the last such call: just these reasons in this order
 * (SVM_EXIT_* of asm/svm.h, EXIT_REASON_* of asm/vmx.h). What comes from outside of the guest (interrupts, NMI, SMI) is
 * left out, and so are the page faults that KVM fills its tables by, unless the list names one. On the other vendor's
 * CPU nothing is checked; where tracing is not possible the report says that it was not observed.
 */
#define HW_LIST(...) (const uint64_t[]){ __VA_ARGS__ }, sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t)
#define expect_svm_exits(t_, ...) test_check_hw_exits(t_, AT_EXPECT, KVM_ISA_SVM, HW_LIST(__VA_ARGS__))
#define expect_vmx_exits(t_, ...) test_check_hw_exits(t_, AT_EXPECT, KVM_ISA_VMX, HW_LIST(__VA_ARGS__))
/* Likewise, the exits of nested guests (L2) as KVM saw them, whether it kept them or passed them on to L1. */
#define expect_nested_vmx_exits(t_, ...) test_check_nested_exits(t_, AT_EXPECT, KVM_ISA_VMX, HW_LIST(__VA_ARGS__))
/*
 * KVM refused the last nested entry because of the check whose text this is; NULL: it refused none. The text is the
 * check's source in Linux 6.1, spaces folded; on another kernel only that there was such a check, or none, is a verdict,
 * and a text that differs is a message.
 */
#define expect_entry_refused(t_, check_) test_check_refused(t_, AT_EXPECT, check_)

/* A message in the report; shown when the test does not pass. */
void test_say(struct test *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The surroundings are not as the case needs them (not a verdict on KVM): ERROR, and the case ends. */
void test_error(struct test *t, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

#endif
