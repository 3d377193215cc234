/* SPDX-License-Identifier: MIT */
/* The words of needs: which are words at all, and which hold on a KVM whose answers are known. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "err.h"
#include "here.h"
#include "runner/needs.h"
#include "vm/x86/vmx.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static void test_good_form(void **state)
{
	static const char *const good[] = {
		"", " ", "KVM_CAP_IRQCHIP", "KVM_CAP_NR_MEMSLOTS>=32", "KVM_CAP_X86_SMM&0x3", "cpuid:la57",
		"vendor:amd", "vendor:intel", "nested", "tdp", "param:kvm_amd.npt=1", "param:kvm.x=Y", "smp:2", "root",
		"stable_tsc", "debugfs", "compat", "lab", "pinned", "modules",
		"KVM_CAP_IRQCHIP  cpuid:nx nested ", "vmx:ept", "vmx:preemption_timer",
	};
	struct err err;
	size_t i;

	(void)state;
	assert_int_equal(needs_parse(NULL, &err), 0);
	for (i = 0; i < ARRAY_SIZE(good); i++)
		if (needs_parse(good[i], &err))
			fail_msg("'%s': %s", good[i], err.text);
}

/* The word that is none is named, in any place. */
static void test_bad_form(void **state)
{
	static const char *const bad[] = {
		"KVM_CAP_HOVERCRAFT", "KVM_CAP_", "KVM_CAP_IRQCHIPS", "KVM_CAP_IRQCHI", "KVM_CAP_IRQCHIP>",
		"KVM_CAP_IRQCHIP>=", "KVM_CAP_IRQCHIP>1", "KVM_CAP_IRQCHIP>=x", "KVM_CAP_IRQCHIP>=1x",
		"KVM_CAP_IRQCHIP>=-1", "KVM_CAP_IRQCHIP=1", "KVM_CAP_IRQCHIP&", "KVM_CAP_IRQCHIP&0",
		"KVM_CAP_IRQCHIP&=1", "kvm_cap_irqchip", "cpuid:", "cpuid:hovercraft", "cpuid:LA57", "vendor:", "vendor:via",
		"vendor:amdx", "nested=1", "nestedx", "tdpx", "param:", "param:kvm", "param:kvm.x", "param:kvm.x=", "param:.x=1",
		"param:kvm.=1", "param:=.", "smp:", "smp:0", "smp:-1", "smp:2x", "smp:x", "roots", "ROOT", "debugf", "debugfs=1", "labs", "module", "root,nested",
		"root\tnested", "vmx", "vmx:", "vmx:EPT", "vmx:hovercraft", "vmx:ept_",
	};
	char needs[128], want[128];
	struct err err;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(want, sizeof(want), "unknown need '%s'", bad[i]);
		err.text[0] = '\0';
		assert_int_equal(needs_parse(bad[i], &err), -EINVAL);
		assert_string_equal(err.text, want);
		snprintf(needs, sizeof(needs), "root %s nested", bad[i]);
		assert_int_equal(needs_parse(needs, &err), -EINVAL);
		assert_string_equal(err.text, want);
	}
}

static struct fake fake;
static struct sys sys;

static void must_failed(void *context, const char *what, long error)
{
	(void)context;
	fail_msg("%s: %ld", what, error);
}

static int open_fake(void **state)
{
	struct err err;

	(void)state;
	fake_init(&fake);
	fake.caps[KVM_CAP_IRQCHIP] = 1;
	fake.caps[KVM_CAP_NR_MEMSLOTS] = 32;
	fake.caps[KVM_CAP_X86_SMM] = 5;
	fake.cpuid[1].edx = 1u << 13;	/* pge */
	fake.cpuid[2].ecx = 1u << 16;	/* la57 */
	/* EPT and unrestricted guest may be 1; VPID must be, which does not count. */
	fake.feature_msr = (struct kvm_msr_entry){ .index = MSR_IA32_VMX_PROCBASED_CTLS2, .data = 0x8200000020 };
	if (sys_open(&sys, &fake.backend, NULL, &err))
		return -1;
	sys.must_failed = must_failed;
	return 0;
}

static int close_fake(void **state)
{
	(void)state;
	sys_close(&sys);
	return fake_nr_open(&fake);
}

static void assert_met(const char *needs, const char *want_missing)
{
	char missing[128] = "";

	if (needs_met(needs, &sys, missing, sizeof(missing)) != !want_missing)
		fail_msg("'%s' is %smet", needs, want_missing ? "" : "not ");
	assert_string_equal(missing, want_missing ? want_missing : "");
}

static void test_caps(void **state)
{
	(void)state;
	assert_met(NULL, NULL);
	assert_met("", NULL);
	assert_met("KVM_CAP_IRQCHIP", NULL);
	assert_met("KVM_CAP_HLT", "needs KVM_CAP_HLT");
	assert_met("KVM_CAP_NR_MEMSLOTS>=32", NULL);
	assert_met("KVM_CAP_NR_MEMSLOTS>=33", "needs KVM_CAP_NR_MEMSLOTS>=33");
	assert_met("KVM_CAP_X86_SMM&5", NULL);
	assert_met("KVM_CAP_X86_SMM&4", NULL);
	assert_met("KVM_CAP_X86_SMM&6", "needs KVM_CAP_X86_SMM&6");
	assert_met("KVM_CAP_HLT&1", "needs KVM_CAP_HLT&1");
	/* The first word that does not hold is named. */
	assert_met("KVM_CAP_IRQCHIP KVM_CAP_HLT KVM_CAP_USER_MEMORY", "needs KVM_CAP_HLT");
	assert_met("KVM_CAP_IRQCHIP hovercraft", "unknown need 'hovercraft'");
}

static void test_cpuid(void **state)
{
	(void)state;
	assert_met("cpuid:pge cpuid:la57", NULL);
	assert_met("cpuid:pcid", "needs cpuid:pcid");
	assert_met("cpuid:umip", "needs cpuid:umip");
	assert_met("cpuid:npt", "needs cpuid:npt");	/* there is no such leaf */
}

static void test_vmx(void **state)
{
	(void)state;
	assert_met("vmx:ept", NULL);
	assert_met("vmx:unrestricted_guest", NULL);
	assert_met("vmx:vpid", "needs vmx:vpid");
	/* In an MSR that this KVM does not have. */
	assert_met("vmx:tpr_shadow", "needs vmx:tpr_shadow");
}

static void test_machine(void **state)
{
	char needs[64], missing[80];
	long nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	bool is_root = geteuid() == 0;

	(void)state;
	snprintf(needs, sizeof(needs), "smp:%ld", nr_cpus);
	assert_met(needs, NULL);
	snprintf(needs, sizeof(needs), "smp:%ld", nr_cpus + 1);
	snprintf(missing, sizeof(missing), "needs %s", needs);
	assert_met(needs, missing);
	assert_met("root", is_root ? NULL : "needs root");
	assert_met("param:no_such_module.x=1", "needs param:no_such_module.x=1");
	/* No machine has both. */
	assert_false(needs_met("vendor:amd vendor:intel", &sys, missing, sizeof(missing)));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_form), cmocka_unit_test(test_bad_form),
		cmocka_unit_test_setup_teardown(test_caps, open_fake, close_fake),
		cmocka_unit_test_setup_teardown(test_cpuid, open_fake, close_fake),
		cmocka_unit_test_setup_teardown(test_vmx, open_fake, close_fake),
		cmocka_unit_test_setup_teardown(test_machine, open_fake, close_fake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
