/* SPDX-License-Identifier: MIT */
#include "runner/needs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "lab/contract.h"
#include "vm/caps.h"
#include "vm/x86/mode.h"
#include "vm/x86/vendor.h"
#include "vm/x86/vmx.h"

#define WORD_BYTES 128

/* --- CPUID features by name: APM vol. 3, appendix D and E; SDM vol. 2A, CPUID --- */

enum cpuid_register { EAX, EBX, ECX, EDX };

static const struct cpuid_feature {
	const char *name;
	uint32_t leaf, subleaf;
	enum cpuid_register reg;
	unsigned int bit;
} features[] = {
	{ "sse3", 1, 0, ECX, 0 },	{ "monitor", 1, 0, ECX, 3 },	{ "vmx", 1, 0, ECX, 5 },
	{ "pcid", 1, 0, ECX, 17 },	{ "x2apic", 1, 0, ECX, 21 },	{ "movbe", 1, 0, ECX, 22 },
	{ "tsc_deadline", 1, 0, ECX, 24 }, { "xsave", 1, 0, ECX, 26 },	{ "avx", 1, 0, ECX, 28 },
	{ "rdrand", 1, 0, ECX, 30 },	{ "vme", 1, 0, EDX, 1 },	{ "de", 1, 0, EDX, 2 },
	{ "pse", 1, 0, EDX, 3 },	{ "pae", 1, 0, EDX, 6 },	{ "cx8", 1, 0, EDX, 8 },
	{ "sep", 1, 0, EDX, 11 },	{ "mtrr", 1, 0, EDX, 12 },	{ "pge", 1, 0, EDX, 13 },
	{ "mca", 1, 0, EDX, 14 },	{ "pat", 1, 0, EDX, 16 },	{ "pse36", 1, 0, EDX, 17 },
	{ "clflush", 1, 0, EDX, 19 },	{ "sse", 1, 0, EDX, 25 },	{ "sse2", 1, 0, EDX, 26 },
	{ "cx16", 1, 0, ECX, 13 },	{ "fsgsbase", 7, 0, EBX, 0 },	{ "tsc_adjust", 7, 0, EBX, 1 },
	{ "smep", 7, 0, EBX, 7 },	{ "erms", 7, 0, EBX, 9 },	{ "invpcid", 7, 0, EBX, 10 },
	{ "smap", 7, 0, EBX, 20 },	{ "clflushopt", 7, 0, EBX, 23 }, { "umip", 7, 0, ECX, 2 },
	{ "pku", 7, 0, ECX, 3 },	{ "la57", 7, 0, ECX, 16 },	{ "rdpid", 7, 0, ECX, 22 },
	{ "xsaveopt", 0xd, 1, EAX, 0 },	{ "xsavec", 0xd, 1, EAX, 1 },	{ "xsaves", 0xd, 1, EAX, 3 },
	{ "svm", 0x80000001, 0, ECX, 2 }, { "syscall", 0x80000001, 0, EDX, 11 },
	{ "nx", 0x80000001, 0, EDX, 20 }, { "fxsr_opt", 0x80000001, 0, EDX, 25 },
	{ "pdpe1gb", 0x80000001, 0, EDX, 26 }, { "rdtscp", 0x80000001, 0, EDX, 27 },
	{ "lm", 0x80000001, 0, EDX, 29 }, { "lahf_lm", 0x80000001, 0, ECX, 0 },
	{ "npt", 0x8000000a, 0, EDX, 0 }, { "lbrv", 0x8000000a, 0, EDX, 1 },
	{ "nrips", 0x8000000a, 0, EDX, 3 }, { "tsc_scale", 0x8000000a, 0, EDX, 4 },
	{ "flushbyasid", 0x8000000a, 0, EDX, 6 }, { "decodeassists", 0x8000000a, 0, EDX, 7 },
	{ "pausefilter", 0x8000000a, 0, EDX, 10 }, { "pfthreshold", 0x8000000a, 0, EDX, 12 },
	{ "v_vmsave_vmload", 0x8000000a, 0, EDX, 15 }, { "vgif", 0x8000000a, 0, EDX, 16 },
	{ "vnmi", 0x8000000a, 0, EDX, 25 },
};

static const struct cpuid_feature *feature_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (!strcmp(features[i].name, name))
			return &features[i];
	return NULL;
}

static bool feature_met(const struct cpuid_feature *feature, struct sys *sys)
{
	struct kvm_cpuid_entry2 entry;
	uint32_t reg[4];

	if (!sys->cpuid)
		sys->cpuid = sys_supported_cpuid(sys);
	if (!cpuid_find(sys->cpuid, feature->leaf, feature->subleaf, &entry))
		return false;
	reg[EAX] = entry.eax;
	reg[EBX] = entry.ebx;
	reg[ECX] = entry.ecx;
	reg[EDX] = entry.edx;
	return reg[feature->reg] >> feature->bit & 1;
}

/* --- what VMX offers to a guest's own guests: KVM's feature MSRs, SDM vol. 3D, appendix A --- */

static const struct vmx_feature {
	const char *name;
	uint32_t msr;
	unsigned int bit;	/* of controls: 32 more, where the MSR has those that may be 1 */
} vmx_features[] = {
	{ "ins_outs_info", MSR_IA32_VMX_BASIC, 54 },
	{ "preemption_timer", MSR_IA32_VMX_TRUE_PINBASED_CTLS, 32 + 6 },
	{ "virtual_nmis", MSR_IA32_VMX_TRUE_PINBASED_CTLS, 32 + 5 },
	{ "posted_interrupts", MSR_IA32_VMX_TRUE_PINBASED_CTLS, 32 + 7 },
	{ "tpr_shadow", MSR_IA32_VMX_TRUE_PROCBASED_CTLS, 32 + 21 },
	{ "monitor_trap_flag", MSR_IA32_VMX_TRUE_PROCBASED_CTLS, 32 + 27 },
	{ "secondary", MSR_IA32_VMX_TRUE_PROCBASED_CTLS, 32 + 31 },
	{ "virtualize_apic_accesses", MSR_IA32_VMX_PROCBASED_CTLS2, 32 + 0 },
	{ "ept", MSR_IA32_VMX_PROCBASED_CTLS2, 32 + 1 },
	{ "descriptor_table_exiting", MSR_IA32_VMX_PROCBASED_CTLS2, 32 + 2 },
	{ "rdtscp", MSR_IA32_VMX_PROCBASED_CTLS2, 32 + 3 },
	{ "virtualize_x2apic", MSR_IA32_VMX_PROCBASED_CTLS2, 32 + 4 },
	{ "vpid", MSR_IA32_VMX_PROCBASED_CTLS2, 32 + 5 },
	{ "wbinvd_exiting", MSR_IA32_VMX_PROCBASED_CTLS2, 32 + 6 },
	{ "unrestricted_guest", MSR_IA32_VMX_PROCBASED_CTLS2, 32 + 7 },
	{ "rdrand_exiting", MSR_IA32_VMX_PROCBASED_CTLS2, 32 + 11 },
	{ "invpcid", MSR_IA32_VMX_PROCBASED_CTLS2, 32 + 12 },
	{ "vm_functions", MSR_IA32_VMX_PROCBASED_CTLS2, 32 + 13 },
	{ "vmcs_shadowing", MSR_IA32_VMX_PROCBASED_CTLS2, 32 + 14 },
	{ "rdseed_exiting", MSR_IA32_VMX_PROCBASED_CTLS2, 32 + 16 },
	{ "pml", MSR_IA32_VMX_PROCBASED_CTLS2, 32 + 17 },
	{ "save_pat", MSR_IA32_VMX_TRUE_EXIT_CTLS, 32 + 18 },
	{ "load_pat", MSR_IA32_VMX_TRUE_ENTRY_CTLS, 32 + 14 },
	{ "load_efer", MSR_IA32_VMX_TRUE_ENTRY_CTLS, 32 + 15 },
	{ "load_perf_global_ctrl", MSR_IA32_VMX_TRUE_ENTRY_CTLS, 32 + 13 },
	{ "ept_execute_only", MSR_IA32_VMX_EPT_VPID_CAP, 0 },
	{ "ept_1gb", MSR_IA32_VMX_EPT_VPID_CAP, 17 },
	{ "invept", MSR_IA32_VMX_EPT_VPID_CAP, 20 },
	{ "ept_ad", MSR_IA32_VMX_EPT_VPID_CAP, 21 },
	{ "invvpid", MSR_IA32_VMX_EPT_VPID_CAP, 32 },
	{ "wait_for_sipi", MSR_IA32_VMX_MISC, 8 },
	{ "vmwrite_any_field", MSR_IA32_VMX_MISC, 29 },
	{ "zero_length_injection", MSR_IA32_VMX_MISC, 30 },
};

static const struct vmx_feature *vmx_feature_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(vmx_features) / sizeof(vmx_features[0]); i++)
		if (!strcmp(vmx_features[i].name, name))
			return &vmx_features[i];
	return NULL;
}

static bool vmx_feature_met(const struct vmx_feature *feature, struct sys *sys)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry.index = feature->msr };

	return sys_ioctl_try(sys, KVM_GET_MSRS, &msrs.head) == 1 && msrs.entry.data >> feature->bit & 1;
}

/* --- module parameters --- */

/* Reads the file's first line without its newline; false when there is none. */
static bool line_read(const char *path, char *buf, size_t len)
{
	FILE *file = fopen(path, "re");
	bool is_read;

	if (!file)
		return false;
	is_read = fgets(buf, len, file);
	fclose(file);
	if (is_read)
		buf[strcspn(buf, "\n")] = '\0';
	return is_read;
}

static bool param_read(const char *module, const char *name, char *buf, size_t len)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module, name);
	return line_read(path, buf, len);
}

static const char *bool_word(const char *value)
{
	if (!strcmp(value, "Y") || !strcmp(value, "y"))
		return "1";
	return !strcmp(value, "N") || !strcmp(value, "n") ? "0" : value;
}

bool param_values_equal(const char *one, const char *other)
{
	return !strcmp(bool_word(one), bool_word(other));
}

struct param_word {
	char module[64], name[64], value[64];
};

static bool param_parse(const char *spec, struct param_word *param)
{
	int end = 0;

	return sscanf(spec, "%63[^.].%63[^=]=%63s%n", param->module, param->name, param->value, &end) == 3 &&
	       !spec[end];
}

static bool param_met(const char *spec, const struct sys *sys)
{
	const struct backend *backend = sys->backend;
	struct param_word param;
	const char *value;
	char got[64];

	if (!param_parse(spec, &param))
		return false;
	if (backend->module) {
		value = backend->parameter(backend, param.module, param.name);
		return value && param_values_equal(param.value, value);
	}
	return !vendor_is_idle(param.module) &&
	       param_read(param.module, param.name, got, sizeof(got)) &&
	       param_values_equal(param.value, got);
}

static bool vendor_met(const char *vendor, const struct sys *sys)
{
	return !strcmp(vendor_of(sys->backend), strcmp(vendor, "amd") ? "kvm_intel" : "kvm_amd");
}

static bool nested_met(const struct sys *sys)
{
	return param_met("kvm_amd.nested=1", sys) || param_met("kvm_intel.nested=1", sys);
}

static bool tdp_met(const struct sys *sys)
{
	return param_met("kvm_amd.npt=1", sys) || param_met("kvm_intel.ept=1", sys);
}

/* A module that is built in has no count of its users. */
static bool modules_met(void)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", vendor_module());
	return !access(path, R_OK);
}

/* The switch of the 32-bit processes' vDSO. */
static bool compat_met(void)
{
	return !access("/proc/sys/abi/vsyscall32", F_OK);
}

/* "tsc" or, soon after the boot, "tsc-early": a kernel that distrusts its TSC has neither. */
static bool stable_tsc_met(void)
{
	char sources[256];

	return line_read("/sys/devices/system/clocksource/clocksource0/available_clocksource", sources,
			 sizeof(sources)) && strstr(sources, "tsc");
}

/* --- words --- */

struct cap_word {
	int number;
	char op;		/* '\0', '>', '&' */
	long value;
};

/* True when @text is a number and nothing else. */
static bool number_parse(const char *text, long *ret)
{
	char *stop;

	*ret = strtol(text, &stop, 0);
	return *text >= '0' && *text <= '9' && !*stop;
}

static bool cap_parse(const char *word, struct cap_word *cap)
{
	size_t len = strcspn(word, ">&");
	const char *rest = word + len;

	cap->number = cap_from_name(word, len);
	cap->op = *rest;
	cap->value = 0;
	if (cap->number < 0)
		return false;
	if (!*rest)
		return true;
	if (!strncmp(rest, ">=", 2))
		return number_parse(rest + 2, &cap->value);
	return *rest == '&' && number_parse(rest + 1, &cap->value) && cap->value;
}

static bool cap_met(const struct cap_word *cap, struct sys *sys)
{
	long value = sys_has_cap(sys, cap->number);

	switch (cap->op) {
	case '>':
		return value >= cap->value;
	case '&':
		return (value & cap->value) == cap->value;
	default:
		return value > 0;
	}
}

enum word_state { WORD_MET, WORD_MISSING, WORD_MALFORMED };

/* @sys NULL: only the form is checked. */
static enum word_state word_check(const char *word, struct sys *sys)
{
	struct cap_word cap;
	struct param_word param;
	const struct cpuid_feature *feature;
	const struct vmx_feature *vmx_feature;
	long nr_cpus;
	bool met;

	if (!strncmp(word, "KVM_CAP_", 8)) {
		if (!cap_parse(word, &cap))
			return WORD_MALFORMED;
		met = sys && cap_met(&cap, sys);
	} else if (!strncmp(word, "cpuid:", 6)) {
		feature = feature_find(word + 6);
		if (!feature)
			return WORD_MALFORMED;
		met = sys && feature_met(feature, sys);
	} else if (!strncmp(word, "vmx:", 4)) {
		vmx_feature = vmx_feature_find(word + 4);
		if (!vmx_feature)
			return WORD_MALFORMED;
		met = sys && vmx_feature_met(vmx_feature, sys);
	} else if (!strcmp(word, "vendor:amd") || !strcmp(word, "vendor:intel")) {
		met = sys && vendor_met(word + 7, sys);
	} else if (!strcmp(word, "nested")) {
		met = sys && nested_met(sys);
	} else if (!strcmp(word, "tdp")) {
		met = sys && tdp_met(sys);
	} else if (!strncmp(word, "param:", 6) && param_parse(word + 6, &param)) {
		met = sys && param_met(word + 6, sys);
	} else if (!strncmp(word, "smp:", 4) && number_parse(word + 4, &nr_cpus) && nr_cpus > 0) {
		met = sys && sysconf(_SC_NPROCESSORS_ONLN) >= nr_cpus;
	} else if (!strcmp(word, "stable_tsc")) {
		met = sys && (sys->backend->module || stable_tsc_met());
	} else if (!strcmp(word, "root")) {
		met = sys && geteuid() == 0;
	} else if (!strcmp(word, "debugfs")) {
		met = sys && !sys->backend->module && !access("/sys/kernel/debug/kvm", R_OK | X_OK);
	} else if (!strcmp(word, "modules")) {
		met = sys && !sys->backend->module && modules_met();
	} else if (!strcmp(word, "compat")) {
		met = sys && !sys->backend->module && compat_met();
	} else if (!strcmp(word, "pinned")) {
		met = sys && (sys->backend->module || !access(LAB_MODULES, F_OK));
	} else if (!strcmp(word, "lab")) {
		met = sys && !access(LAB_MODULES, F_OK);
	} else {
		return WORD_MALFORMED;
	}
	return met ? WORD_MET : WORD_MISSING;
}

/* Copies the next word to @word; NULL at the end. */
static const char *word_next(const char *at, char *word)
{
	size_t len;

	at += strspn(at, " ");
	len = strcspn(at, " ");
	if (!len)
		return NULL;
	snprintf(word, WORD_BYTES, "%.*s", (int)len, at);
	return at + len;
}

int needs_parse(const char *needs, struct err *err)
{
	char word[WORD_BYTES];

	while (needs && (needs = word_next(needs, word)))
		if (word_check(word, NULL) == WORD_MALFORMED)
			return err_set(err, EINVAL, "unknown need '%s'", word);
	return 0;
}

bool needs_met(const char *needs, struct sys *sys, char *missing, size_t len_bytes)
{
	char word[WORD_BYTES];

	while (needs && (needs = word_next(needs, word))) {
		switch (word_check(word, sys)) {
		case WORD_MET:
			continue;
		case WORD_MISSING:
			snprintf(missing, len_bytes, "needs %s", word);
			return false;
		case WORD_MALFORMED:
			snprintf(missing, len_bytes, "unknown need '%s'", word);
			return false;
		}
	}
	return true;
}
