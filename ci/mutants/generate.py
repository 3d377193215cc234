#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rewrites KVM's sources so that one kernel holds many small faults, of which kvm.vmut=N chooses one at boot.

    ci/mutants/generate.py TREE >mutants.json

TREE is a kernel tree, unchanged before. The faults are written to standard output: a list of objects with id, file,
line, function, kind, was (the code as it is) and now (what the fault makes of it). kvm.vmut=0 is the kernel as it was.

A line or condition is only touched where the fault can be told from C's layout in the kernel's style alone; what a
fault could not do more than leak or slow down (locks, frees, statistics, warnings) is left out.
"""
import json
import re
import sys

FILES = [f"arch/x86/kvm/{name}" for name in """
    x86.c emulate.c lapic.c ioapic.c i8259.c i8254.c irq.c irq_comm.c cpuid.c mtrr.c x86.h mmu.h kvm_cache_regs.h
    mmu/mmu.c mmu/paging_tmpl.h mmu/tdp_mmu.c mmu/spte.c mmu/tdp_iter.c mmu/spte.h
    svm/svm.c svm/nested.c svm/svm.h vmx/vmx.c vmx/nested.c""".split()] + [f"virt/kvm/{name}" for name in """
    kvm_main.c eventfd.c coalesced_mmio.c dirty_ring.c irqchip.c""".split()]

LEFT_OUT_FUNCTIONS = re.compile(r"sev_|_sev|hv_|hyperv|xen|pmu|avic|_exit\b|hardware_(setup|unsetup)|debugfs|stats"
                                r"|trace_|sgx|dump_|_destroy|_free\b|free_")
LEFT_OUT_HEADS = re.compile(r"__init|__exit|noinstr|#define")
LEFT_OUT_LINES = re.compile(
    r"WARN|BUG|trace_|pr_|printk|IS_ENABLED|sev|lockdep|BUILD|__builtin|asm|static_branch|unlikely\(is_error|kvm_err"
    r"|unimpl|vcpu_debug|\+\+|stat\.|hv_|pmu|avic|xen|kfree|free_page|mutex_|spin_|_lock\(|_unlock\(|srcu|preempt"
    r"|local_irq|might_sleep|cond_resched|complete\(|put_|kvm_get_kvm|init_|INIT_|list_|hlist_|rb_")
LEFT_OUT_CALLS = re.compile(r"[A-Z]|if|for|while|switch|return|memset|memcpy|va_|kvm_mmu_commit|flush_work|wake|free"
                            r"|rcu|up_|down_|swap|read_|write_")
OTHER_VECTOR = {"UD": "GP", "GP": "SS", "SS": "GP", "NM": "UD", "TS": "NP", "NP": "TS", "DB": "BP", "PF": "GP",
                "DE": "GP", "AC": "GP", "DF": "GP", "BP": "DB"}
OTHER_VALUE = {"0": "1", "1": "0", "true": "false", "false": "true"}
OTHER_COMPARE = {"<": "<=", ">": ">=", "<=": "<", ">=": ">"}

MACROS = """extern int vmut;
#define VMUT_IS(n) __builtin_expect(vmut == (n), 0)
#define VMUT_IF(never, negated, e) \\
	({ int __r = !!(e); if (VMUT_IS(never)) __r = 0; if (VMUT_IS(negated)) __r = !__r; __r; })
#define VMUT(n, a, b) (VMUT_IS(n) ? (b) : (a))
"""
PARAMETER = "int vmut;\nmodule_param(vmut, int, 0644);\nEXPORT_SYMBOL_GPL(vmut);\n\n"


def closing(text, start):
    """Where the parenthesis at start is closed; -1 when it is not."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return i
    return -1


def is_balanced(text):
    return text.count("(") == text.count(")")


def without_groups(text):
    """The text at the outermost level of parentheses."""
    while True:
        less = re.sub(r"\([^()]*\)", "", text)
        if less == text:
            return text
        text = less


class Rewriter:
    """One file. The text comes back with as many lines as it had, so that gcov and oopses name the places they did."""

    def __init__(self, name, text, first_id):
        self.name = name
        self.lines = text.split("\n")
        self.next_id = first_id
        self.mutants = []
        self.function = None
        self.branch_at = -1     # the line behind an if's condition, when that is a statement without braces

    def new(self, line, kind, was, now):
        self.mutants.append({"id": self.next_id, "file": self.name, "line": line + 1, "function": self.function,
                             "kind": kind, "was": " ".join(was.split()), "now": now})
        self.next_id += 1
        return self.next_id - 1

    def rewrite(self):
        out = []
        i = 0
        while i < len(self.lines):
            replaced = self.rewrite_at(i)
            out += replaced
            i += len(replaced)
        return "\n".join(out)

    def rewrite_at(self, i):
        """The lines that replace those from i on, one for each."""
        line = self.lines[i]
        if line.startswith("{"):
            self.function = self.function_before(i)
        elif line.startswith("}"):
            self.function = None
        elif self.function and not line.startswith("#") and not line.endswith("\\"):
            if re.match(r"\t+(} else |else )?if \(", line):
                return self.rewrite_condition(i)
            if not LEFT_OUT_LINES.search(line):
                return [self.rewrite_statement(i)]
        return [line]

    def function_before(self, i):
        """The function whose body begins at i; None for what is none, or is left out."""
        match = re.search(r"(\w+)\([^()]*(\([^()]*\)[^()]*)*\)\s*$", " ".join(self.lines[max(0, i - 6):i]))
        if not match or LEFT_OUT_FUNCTIONS.search(match.group(1)) or \
           LEFT_OUT_HEADS.search(" ".join(self.lines[max(0, i - 3):i])):
            return None
        return match.group(1)

    def rewrite_condition(self, i):
        start = self.lines[i].index("if (") + 3
        for end in range(i, min(i + 6, len(self.lines))):
            text = "\n".join(self.lines[i:end + 1])
            close = closing(text, start)
            if close >= 0:
                break
        if close < 0:
            return [self.lines[i]]
        self.branch_at = end + 1 if close == len(text) - 1 else -1
        if LEFT_OUT_LINES.search(text[:close]) or "#" in text:
            return self.lines[i:end + 1]
        condition = text[start + 1:close]
        never = self.new(i, "if-never", condition, "0")
        negated = self.new(i, "if-negated", condition, "!(...)")
        inner = self.rewrite_compare(i, condition) or self.rewrite_operands(i, condition) or condition
        new = f"{text[:start]}(VMUT_IF({never}, {negated}, ({inner}))){text[close + 1:]}"
        return self.pad(new, end + 1 - i)

    @staticmethod
    def pad(text, nr_lines):
        lines = text.split("\n")
        return lines + [""] * (nr_lines - len(lines))

    def rewrite_compare(self, i, condition):
        """Both sides are evaluated twice: calls are left alone."""
        one = " ".join(condition.split())
        match = re.fullmatch(r"([^&|?=!<>()]+) (<|>|<=|>=) ([^&|?=!<>()]+)", one)
        if not match:
            return None
        other = OTHER_COMPARE[match.group(2)]
        mutant = self.new(i, "compare", condition, other)
        return f"VMUT({mutant}, ({one}), ({match.group(1)} {other} {match.group(3)}))"

    def rewrite_operands(self, i, condition):
        one = " ".join(condition.split())
        outer = without_groups(one)
        for operator, neutral in (("&&", 1), ("||", 0)):
            parts = re.split(r"\s*" + re.escape(operator) + r"\s*", one)
            if len(parts) < 2 or not all(map(is_balanced, parts)) or ("||" if neutral else "&&") in outer:
                continue
            mutants = [self.new(i, "operand", condition, f"{part} := {neutral}") for part in parts]
            return f" {operator} ".join(f"VMUT({n}, !!({part}), {neutral})" for n, part in zip(mutants, parts))
        return None

    def rewrite_statement(self, i):
        line = self.lines[i]
        return self.rewrite_value(i, line) or self.rewrite_vector(i, line) or \
            (self.rewrite_effect(i, line) if self.is_statement_start(i) else None) or line

    def rewrite_value(self, i, line):
        match = re.fullmatch(r"(\t+(?:return|(?:r|ret|rc) =) )(-E\w+);", line)
        if match:
            mutant = self.new(i, "errno", line, "-EXDEV")
            return f"{match.group(1)}VMUT({mutant}, {match.group(2)}, -EXDEV);"
        match = re.fullmatch(r"(\t+return )(0|1|true|false);", line)
        if match:
            other = OTHER_VALUE[match.group(2)]
            mutant = self.new(i, "return", line, other)
            return f"{match.group(1)}VMUT({mutant}, {match.group(2)}, {other});"
        match = re.fullmatch(r"(\t+.*(?:emulate_gp|emulate_ss|emulate_np|kvm_inject_gp)\(\w+, )0(\).*;)", line)
        if match:
            mutant = self.new(i, "error-code", line, "8")
            return f"{match.group(1)}VMUT({mutant}, 0, 8){match.group(2)}"
        return None

    def rewrite_vector(self, i, line):
        match = re.search(r"\b([A-Z]{2})_VECTOR\b", line)
        if not match or match.group(1) not in OTHER_VECTOR or not line.endswith(";") or \
           re.search(r"case|==|1 <<", line) or not re.search(r"inject|queue|emulate|=", line):
            return None
        other = OTHER_VECTOR[match.group(1)] + "_VECTOR"
        mutant = self.new(i, "vector", line, other)
        return f"{line[:match.start()]}VMUT({mutant}, {match.group(0)}, {other}){line[match.end():]}"

    def is_statement_start(self, i):
        before = self.lines[i - 1].rstrip()
        return i == self.branch_at or not before or before.endswith((";", "{", "}", ":", "else", "*/")) or \
            (re.match(r"\t+(for|while)\b.*\)$", before) is not None and is_balanced(before))

    def rewrite_effect(self, i, line):
        match = re.fullmatch(r"(\t+)([^;{}]+;)", line)
        if not match or not is_balanced(line):
            return None
        statement = match.group(2)
        if re.match(r"\w[\w>.-]*\(.*\);$", statement) and not LEFT_OUT_CALLS.match(statement):
            kind = "call-dropped"
        elif re.match(r"\w+(->|\.|\[)[\w>\-.\[\]]* ([|&+^-]?)= ", statement):
            kind = "store-dropped"
        elif re.match(r"\w+ ([|&+^-]|<<|>>)= ", statement):
            kind = "update-dropped"
        else:
            return None
        mutant = self.new(i, kind, line, "")
        return f"{match.group(1)}do {{ if (!VMUT_IS({mutant})) {statement} }} while (0);"


def rewrite_file(tree, name, mutants):
    with open(f"{tree}/{name}") as file:
        rewriter = Rewriter(name, file.read(), len(mutants) + 1)
    text = rewriter.rewrite()
    with open(f"{tree}/{name}", "w") as file:
        file.write(text)
    mutants += rewriter.mutants


def insert_before(path, mark, text):
    with open(path) as file:
        old = file.read()
    if text in old or mark not in old:
        sys.exit(f"generate.py: {path}: {'has been rewritten' if text in old else f'has no {mark!r}'}")
    with open(path, "w") as file:
        file.write(old.replace(mark, text + mark, 1))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    tree = sys.argv[1]
    mutants = []
    try:
        insert_before(f"{tree}/include/linux/kvm_host.h", "#include <linux/types.h>", MACROS)
        for name in FILES:
            rewrite_file(tree, name, mutants)
        insert_before(f"{tree}/virt/kvm/kvm_main.c", "unsigned int halt_poll_ns", PARAMETER)
    except OSError as error:
        sys.exit(f"generate.py: {error.filename}: {error.strerror}")
    json.dump(mutants, sys.stdout, indent=0)


if __name__ == "__main__":
    main()
