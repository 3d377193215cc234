/* SPDX-License-Identifier: MIT */
/*
 * Page-modification logging: a page that L2 writes first is in L1's log, downwards from the index, one that it only reads
 * is not; when the log is full L2 exits before it writes.
 *
 * Can break: the index counted the wrong way, an address with its low bits, the entry behind the log's page, a page that
 * is logged at each write.
 * Source: SDM vol. 3C, 29.3.4 (accessed and dirty flags), 29.3.6 (page-modification logging), 28.2.1.
 */
#include "case.h"
#include "guests/l1_vmx.h"

#define WRITTEN SCRATCH_GPA
#define WRITTEN_TOO (SCRATCH_GPA + 0x3000)
#define READ (SCRATCH_GPA + 0x7000)
#define LAST_INDEX 511

INSN(pml_code, "movb $1, 0x123(%rsi)\n\tmovb $2, 0x456(%rsi)\n\tmov (%rdi), %eax\n\tmovb $3, (%r8)\n\tret")

static uint64_t *buffer;

static void start(uint16_t index)
{
	vmx_start();
	vmx_use_ept();
	ept_find(SCRATCH_GPA, 1);
	vmcs_set(EPT_POINTER, EPTP_AD);
	buffer = page_alloc();
	vmcs_write(PML_ADDRESS, (ulong_t)buffer);
	vmcs_write(PML_INDEX, index);
	vmx_use_secondary(PROC2_PML);
	vmx_aim(pml_code);
	vmx.gprs.rsi = WRITTEN;
	vmx.gprs.rdi = READ;
	vmx.gprs.r8 = WRITTEN_TOO + 8;
}

/* L2's page tables are written by the walk, and in the log, too. */
static unsigned int count_of(uint64_t gpa, unsigned int first)
{
	unsigned int nr = 0, i;

	for (i = first; i <= LAST_INDEX; i++)
		nr += buffer[i] == gpa;
	return nr;
}

static void check_log(void)
{
	unsigned int first = vmcs_read(PML_INDEX) + 1, i;

	CHECK(first < LAST_INDEX);
	CHECK_EQ(1, count_of(WRITTEN, first));
	CHECK_EQ(1, count_of(WRITTEN_TOO, first));
	CHECK_EQ(0, count_of(READ, first));
	for (i = first; i <= LAST_INDEX; i++)
		CHECK_EQ(0, buffer[i] & 0xfff);
	CHECK_EQ(0, buffer[first - 1]);
}

#define EPTE_A (1ull << 8)
#define EPTE_D (1ull << 9)
#define FLAGS (EPTE_A | EPTE_D)

static void logs(void)
{
	start(LAST_INDEX);
	vmx_run();
	CHECK_L2_DONE();
	check_log();
	CHECK_EQ(FLAGS, *ept_find(WRITTEN, 1) & FLAGS);
	CHECK_EQ(FLAGS, *ept_find(WRITTEN_TOO, 1) & FLAGS);
	CHECK_EQ(EPTE_A, *ept_find(READ, 1) & FLAGS);
	/* They are dirty now. */
	memset(buffer, 0, 4096);
	vmcs_write(PML_INDEX, LAST_INDEX);
	vmx_aim(pml_code);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(0, count_of(WRITTEN, 0));
	CHECK_EQ(0, count_of(WRITTEN_TOO, 0));
}

/* Without the flags nothing is logged, and the flags are left alone. */
static void without_flags(void)
{
	start(LAST_INDEX);
	vmcs_clear_bits(EPT_POINTER, EPTP_AD);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(LAST_INDEX, vmcs_read(PML_INDEX));
	CHECK_EQ(0, *ept_find(WRITTEN, 1) & FLAGS);
}

static void flags_without_log(void)
{
	start(LAST_INDEX);
	vmcs_clear_bits(PROC2_CONTROLS, PROC2_PML);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(LAST_INDEX, vmcs_read(PML_INDEX));
	CHECK_EQ(0, buffer[LAST_INDEX]);
	CHECK_EQ(FLAGS, *ept_find(WRITTEN, 1) & FLAGS);
	CHECK_EQ(EPTE_A, *ept_find(READ, 1) & FLAGS);
}

static void check_full(uint16_t index)
{
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_REASON(EXIT_REASON_PML_FULL);
	CHECK_EQ(0, vmx.exit.qualification);
	CHECK_EQ(index, vmcs_read(PML_INDEX));
	CHECK_EQ(0, read8(WRITTEN + 0x123));
	vmcs_write(PML_INDEX, LAST_INDEX);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(1, read8(WRITTEN + 0x123));
	CHECK_EQ(2, read8(WRITTEN + 0x456));
}

static void full(void)
{
	start(0xffff);
	vmx_run();
	check_full(0xffff);
	CHECK_EQ(0, buffer[0]);
}

static void beyond_the_log(void)
{
	start(LAST_INDEX + 1);
	vmx_run();
	check_full(LAST_INDEX + 1);
}

/* One entry is left: the page tables alone need more. */
static void fills(void)
{
	start(0);
	vmx_run();
	CHECK(buffer[0] != 0);
	check_full(0xffff);
}

struct row {
	ROW_FIELDS;
	void (*run)(void);
};
#define RUN(name_) { .label = #name_, .run = name_ }

static const struct row rows[] = {
	RUN(logs), RUN(without_flags), RUN(flags_without_log), RUN(full), RUN(beyond_the_log), RUN(fills),
};

CASE(pml, .says = "pages that L2 writes are logged for L1, until the log is full", .modes = LONG64,
     .needs = "vendor:intel nested vmx:pml vmx:ept_ad tdp", .rows = ROWS(rows))

GUEST(pml)
{
	GUEST_ROW(rows)->run();
}

HOST(pml)
{
	expect_done(t);
}
