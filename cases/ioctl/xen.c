/* SPDX-License-Identifier: MIT */
/*
 * Xen's interface: an MSR of user space's choice writes a page of hypercalls, KVM's own or user space's; a hypercall is an
 * exit with its number and six arguments, as wide as the mode, and the result goes to RAX; those that KVM answers itself
 * are none. Attributes are taken or refused whole; the shared page has the wall clock.
 *
 * Can break: a number or an opcode in the page, an argument's register, a result cut or lost, an attribute's limit.
 * Source: KVM API, KVM_XEN_HVM_CONFIG (4.28), KVM_XEN_HVM_SET_ATTR, KVM_XEN_HVM_GET_ATTR (4.127, 4.128), KVM_CAP_XEN_HVM,
 * KVM_EXIT_XEN; Xen's public headers (arch-x86/xen-x86_64.h: registers; version.h).
 */
#include "case.h"

#include <string.h>
#include <time.h>

#include "vm/x86/vendor.h"

#define XEN_MSR 0x40000200
#define CODE_PAGE (SCRATCH_GPA + 0x3000)
#define SHARED_PAGE (SCRATCH_GPA + 0x5000)
#define ENTRY_BYTES 32
#define NO_RAM 0x70000000ull
#define XEN_VERSION_CALL 17
#define NS_PER_S 1000000000ull

struct row {
	ROW_FIELDS;
	void (*guest)(void);
	void (*host)(struct test *t);
};

/* --- the guest's half --- */

static void page_make(void)
{
	wrmsr(XEN_MSR, CODE_PAGE);
	guest_sync(1);
}

static uint64_t xen_call(unsigned int number, const uint64_t args[6])
{
	ulong_t result = 0;
	ulong_t entry = CODE_PAGE + ENTRY_BYTES * number;

#ifdef __x86_64__
	register uint64_t r10 __asm__("r10") = args[3];
	register uint64_t r8 __asm__("r8") = args[4];
	register uint64_t r9 __asm__("r9") = args[5];

	__asm__ volatile("call *%[entry]" : "=a"(result) : [entry] "b"(entry), "D"(args[0]), "S"(args[1]), "d"(args[2]),
			 "r"(r10), "r"(r8), "r"(r9) : "memory");
#else
	__asm__ volatile("push %%ebp\n\tmov %[six], %%ebp\n\tcall *%%eax\n\tpop %%ebp" : "=a"(result)
			 : "0"(entry), "b"((uint32_t)args[0]), "c"((uint32_t)args[1]), "d"((uint32_t)args[2]),
			   "S"((uint32_t)args[3]), "D"((uint32_t)args[4]), [six] "m"(args[5]) : "memory");
#endif
	return result;
}

static const uint64_t call_args[6] = {
	0x1111111122222222, 0x3333333344444444, 0x5555555566666666, 0x7777777788888888, 0x99999999aaaaaaaa, 0xbbbbbbbbcccccccc,
};

static void guest_calls(void)
{
	page_make();
	CHECK_EQ(is_long_mode() ? 0x8765432187654321 : 0x87654321, xen_call(37, call_args));
	CHECK_EQ(5, xen_call(127, call_args));
}

/* The first is the version itself; others are user space's. */
static void guest_version(void)
{
	static const uint64_t version[6], other[6] = { 1 };

	page_make();
	CHECK_EQ(0x4000d, xen_call(XEN_VERSION_CALL, version));
	CHECK_EQ(7, xen_call(XEN_VERSION_CALL, other));
}

static void guest_version_unset(void)
{
	static const uint64_t version[6];

	page_make();
	CHECK_EQ(7, xen_call(XEN_VERSION_CALL, version));
}

static void guest_page_only(void)
{
	page_make();
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(XEN_MSR, CODE_PAGE | 1));
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(XEN_MSR, NO_RAM));
}

/* Of two pages, the first, the second, and no third. */
static void guest_blob(void)
{
	wrmsr(XEN_MSR, CODE_PAGE);
	guest_sync(1);
	wrmsr(XEN_MSR, CODE_PAGE | 1);
	guest_sync(2);
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(XEN_MSR, CODE_PAGE | 2));
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(XEN_MSR, CODE_PAGE | 0xfff));
}

static void guest_nothing(void)
{
	CHECK(true);
}

/* --- the host's half --- */

static long config_try(struct test *t, struct kvm_xen_hvm_config config)
{
	return vm_ioctl_try(t->vm, KVM_XEN_HVM_CONFIG, &config);
}

static void config_intercept(struct test *t)
{
	expect_result(t, 0, config_try(t, (struct kvm_xen_hvm_config){
		.flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL, .msr = XEN_MSR }));
}

static void page_fill(struct test *t)
{
	memset(vm_hva(t->vm, CODE_PAGE - 0x1000, 0x3000), 0xa5, 0x3000);
}

static void expect_page(struct test *t)
{
	bool is_amd = !strcmp(vendor_of(t->sys->backend), "kvm_amd");
	const uint8_t *page = vm_hva(t->vm, CODE_PAGE - 0x1000, 0x3000);
	uint8_t want[ENTRY_BYTES] = { 0xb8, 0, 0, 0, 0, 0x0f, 0x01, is_amd ? 0xd9 : 0xc1, 0xc3 };
	unsigned int i;

	memset(want + 9, 0xcc, sizeof(want) - 9);
	for (i = 0; i < 4096 / ENTRY_BYTES; i++) {
		want[1] = i;
		expect_bytes(t, want, page + 0x1000 + i * ENTRY_BYTES, sizeof(want));
	}
	expect_eq(t, 0xa5, page[0xfff]);
	expect_eq(t, 0xa5, page[0x2000]);
}

static void host_page(struct test *t)
{
	config_intercept(t);
	page_fill(t);
	require_sync(t, 1);
	expect_page(t);
	expect_done(t);
	expect_page(t);
}

/* The register's width is the mode's. */
static void expect_call(struct test *t, uint64_t number, const uint64_t *args, uint64_t result)
{
	uint64_t mask = t->mode == LONG64 ? ~0ull : 0xffffffff;

	expect_exit(t, .reason = KVM_EXIT_XEN,
		    .xen = { .type = KVM_EXIT_XEN_HCALL,
			     .words = { t->mode == LONG64, 0, number, [4] = args[0] & mask, args[1] & mask, args[2] & mask,
					args[3] & mask, args[4] & mask, args[5] & mask } });
	t->vcpu->run->xen.u.hcall.result = result;
}

static void host_calls(struct test *t)
{
	config_intercept(t);
	require_sync(t, 1);
	expect_call(t, 37, call_args, 0x8765432187654321);
	expect_call(t, 127, call_args, 5);
	expect_done(t);
}

static long attr_set_try(struct test *t, struct kvm_xen_hvm_attr attr)
{
	return vm_ioctl_try(t->vm, KVM_XEN_HVM_SET_ATTR, &attr);
}

static void host_version(struct test *t)
{
	static const uint64_t other[6] = { 1 };

	config_intercept(t);
	expect_result(t, 0, attr_set_try(t, (struct kvm_xen_hvm_attr){ .type = KVM_XEN_ATTR_TYPE_XEN_VERSION,
								       .u.xen_version = 0x4000d }));
	require_sync(t, 1);
	expect_call(t, XEN_VERSION_CALL, other, 7);
	expect_done(t);
}

static void host_version_unset(struct test *t)
{
	static const uint64_t none[6];

	config_intercept(t);
	require_sync(t, 1);
	expect_call(t, XEN_VERSION_CALL, none, 7);
	expect_done(t);
}

static uint8_t blob[2 * 4096];

static void host_blob(struct test *t)
{
	struct kvm_xen_hvm_config config = { .msr = XEN_MSR };
	unsigned int i;

	for (i = 0; i < sizeof(blob); i++)
		blob[i] = i * 7 + (i >> 12) + 1;
	if (t->mode == LONG64) {
		config.blob_addr_64 = (uintptr_t)blob;
		config.blob_size_64 = 2;
	} else {
		config.blob_addr_32 = (uintptr_t)blob;
		config.blob_size_32 = 2;
	}
	expect_result(t, 0, config_try(t, config));
	require_sync(t, 1);
	expect_bytes(t, blob, vm_hva(t->vm, CODE_PAGE, 4096), 4096);
	require_sync(t, 2);
	expect_bytes(t, blob + 4096, vm_hva(t->vm, CODE_PAGE, 4096), 4096);
	expect_done(t);
	expect_bytes(t, blob + 4096, vm_hva(t->vm, CODE_PAGE, 4096), 4096);
}

static void host_config(struct test *t)
{
	struct kvm_xen_hvm_config config = { .msr = XEN_MSR };
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		config.flags = 1u << bit;
		if (config.flags & (KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL | KVM_XEN_HVM_CONFIG_EVTCHN_SEND))
			continue;
		expect_errno(t, EINVAL, config_try(t, config));
	}
	config.flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL;
	config.blob_size_32 = 1;
	expect_errno(t, EINVAL, config_try(t, config));
	config.blob_size_32 = 0;
	config.blob_addr_64 = 4096;
	expect_errno(t, EINVAL, config_try(t, config));
	config.blob_addr_64 = 0;
	expect_result(t, 0, config_try(t, config));
	config.msr = 0;
	expect_result(t, 0, config_try(t, config));
	expect_done(t);
}

static void host_attributes(struct test *t)
{
	struct kvm_xen_hvm_attr get = { .type = KVM_XEN_ATTR_TYPE_UPCALL_VECTOR };

	expect_errno(t, EINVAL, attr_set_try(t, (struct kvm_xen_hvm_attr){ .type = KVM_XEN_ATTR_TYPE_UPCALL_VECTOR,
									   .u.vector = 0xf }));
	expect_result(t, 0, attr_set_try(t, (struct kvm_xen_hvm_attr){ .type = KVM_XEN_ATTR_TYPE_UPCALL_VECTOR,
								       .u.vector = 0x51 }));
	expect_errno(t, EINVAL, attr_set_try(t, (struct kvm_xen_hvm_attr){ .type = KVM_XEN_ATTR_TYPE_UPCALL_VECTOR,
									   .u.vector = 1 }));
	vm_ioctl(t->vm, KVM_XEN_HVM_GET_ATTR, &get);
	expect_eq(t, 0x51, get.u.vector);
	expect_errno(t, ENOENT, attr_set_try(t, (struct kvm_xen_hvm_attr){ .type = 0x77 }));
	get.type = 0x77;
	expect_errno(t, ENOENT, vm_ioctl_try(t->vm, KVM_XEN_HVM_GET_ATTR, &get));
	expect_result(t, 0, attr_set_try(t, (struct kvm_xen_hvm_attr){ .type = KVM_XEN_ATTR_TYPE_LONG_MODE,
								       .u.long_mode = 1 }));
	get = (struct kvm_xen_hvm_attr){ .type = KVM_XEN_ATTR_TYPE_LONG_MODE };
	vm_ioctl(t->vm, KVM_XEN_HVM_GET_ATTR, &get);
	expect_eq(t, 1, get.u.long_mode);
	get = (struct kvm_xen_hvm_attr){ .type = KVM_XEN_ATTR_TYPE_SHARED_INFO };
	vm_ioctl(t->vm, KVM_XEN_HVM_GET_ATTR, &get);
	expect_eq(t, ~0ull, get.u.shared_info.gfn);
	expect_done(t);
}

/* struct shared_info: the wall clock lies at C00h where pointers have 64 bits, at 900h where 32, then 4 bytes each. */
static void host_shared(struct test *t)
{
	bool is_long = t->mode == LONG64;
	const uint8_t *page = vm_hva(t->vm, SHARED_PAGE, 4096);
	struct kvm_clock_data clock = { 0 };
	uint64_t before, after, boot;
	struct { uint32_t version, sec, nsec; } wall;
	struct timespec now;

	config_intercept(t);
	expect_result(t, 0, attr_set_try(t, (struct kvm_xen_hvm_attr){ .type = KVM_XEN_ATTR_TYPE_LONG_MODE,
								       .u.long_mode = is_long }));
	vm_ioctl(t->vm, KVM_GET_CLOCK, &clock);
	clock_gettime(CLOCK_REALTIME, &now);
	before = now.tv_sec * NS_PER_S + now.tv_nsec - clock.clock;
	expect_result(t, 0, attr_set_try(t, (struct kvm_xen_hvm_attr){ .type = KVM_XEN_ATTR_TYPE_SHARED_INFO,
								       .u.shared_info.gfn = SHARED_PAGE >> 12 }));
	vm_ioctl(t->vm, KVM_GET_CLOCK, &clock);
	clock_gettime(CLOCK_REALTIME, &now);
	after = now.tv_sec * NS_PER_S + now.tv_nsec - clock.clock;
	memcpy(&wall, page + (is_long ? 0xc00 : 0x900), sizeof(wall));
	boot = wall.sec * NS_PER_S + wall.nsec;
	expect_true(t, wall.version && !(wall.version & 1));
	expect_true(t, wall.nsec < NS_PER_S);
	expect_true(t, boot + 100000000 >= before && boot <= after + 100000000);
	expect_done(t);
}

static const struct row rows[] = {
	{ .label = "config", .guest = guest_nothing, .host = ON_HOST(host_config) },
	{ .label = "attributes", .guest = guest_nothing, .host = ON_HOST(host_attributes) },
	{ .label = "page", .guest = guest_page_only, .host = ON_HOST(host_page) },
	{ .label = "blob", .guest = guest_blob, .host = ON_HOST(host_blob) },
	{ .label = "calls", .guest = guest_calls, .host = ON_HOST(host_calls) },
	{ .label = "version", .guest = guest_version, .host = ON_HOST(host_version) },
	{ .label = "version_unset", .guest = guest_version_unset, .host = ON_HOST(host_version_unset) },
	{ .label = "shared_info", .guest = guest_nothing, .host = ON_HOST(host_shared) },
};

CASE(xen, .says = "Xen's hypercalls leave with all of their arguments, from pages of either's making",
     .modes = PROT32 | LONG64, .needs = "KVM_CAP_XEN_HVM&0x3e", .rows = ROWS(rows))

GUEST(xen)
{
	GUEST_ROW(rows)->guest();
}

HOST(xen)
{
	ROW(t, rows)->host(t);
}
