#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What generate.py makes of a small file: which faults there are, and what the compiled program does under each."""
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
from generate import MACROS, Rewriter

SOURCE = """\
static int check(struct state *s, int a)
{
	if (a > 3)
		return -EINVAL;
	if (s->ready &&
	    a != 2)
		s->count = a;
	add(s, a);
	return 0;
}

static void check_exit(struct state *s)
{
	if (s->ready)
		add(s, 1);
}

static int inject(int vector)
{
	s_vector = GP_VECTOR;
	WARN_ON(vector);
	return s_vector;
}
"""

HEAD = """\
#include <stdio.h>
#include <stdlib.h>
#define EINVAL 22
#define EXDEV 18
#define GP_VECTOR 13
#define SS_VECTOR 12
#define WARN_ON(x) (void)(x)
struct state { int ready, count, sum; };
static int s_vector;
static void add(struct state *s, int a) { s->sum += a; }
""" + MACROS

TAIL = """
int vmut;
int main(int argc, char **argv)
{
	struct state s = { .ready = 1 };
	int big, r;

	vmut = argc > 1 ? atoi(argv[1]) : 0;
	big = check(&s, 4);
	r = check(&s, 1);
	check_exit(&s);
	printf("%d %d %d %d %d\\n", big, r, s.count, s.sum, inject(0));
}
"""

UNCHANGED = "-22 0 1 2 13"


class Generate(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.rewriter = Rewriter("sample.c", SOURCE, 1)
        self.text = self.rewriter.rewrite()

    def test_faults(self):
        got = [(m["id"], m["line"], m["function"], m["kind"], m["was"], m["now"]) for m in self.rewriter.mutants]
        self.assertEqual(got, [
            (1, 3, "check", "if-never", "a > 3", "0"),
            (2, 3, "check", "if-negated", "a > 3", "!(...)"),
            (3, 3, "check", "compare", "a > 3", ">="),
            (4, 4, "check", "errno", "return -EINVAL;", "-EXDEV"),
            (5, 5, "check", "if-never", "s->ready && a != 2", "0"),
            (6, 5, "check", "if-negated", "s->ready && a != 2", "!(...)"),
            (7, 5, "check", "operand", "s->ready && a != 2", "s->ready := 1"),
            (8, 5, "check", "operand", "s->ready && a != 2", "a != 2 := 1"),
            (9, 7, "check", "store-dropped", "s->count = a;", ""),
            (10, 8, "check", "call-dropped", "add(s, a);", ""),
            (11, 9, "check", "return", "return 0;", "1"),
            (12, 20, "inject", "vector", "s_vector = GP_VECTOR;", "SS_VECTOR"),
        ])

    def test_lines_stay(self):
        self.assertEqual(self.text.count("\n"), SOURCE.count("\n"))
        self.assertEqual(self.text.split("\n")[10:17], SOURCE.split("\n")[10:17])

    def test_program(self):
        want = {0: UNCHANGED, 1: "0 0 1 6 13", 2: "0 -22 4 5 13", 3: UNCHANGED, 4: "-18 0 1 2 13", 5: "-22 0 0 2 13",
                6: "-22 0 0 2 13", 7: UNCHANGED, 8: UNCHANGED, 9: "-22 0 0 2 13", 10: "-22 0 1 1 13",
                11: "-22 1 1 2 13", 12: "-22 0 1 2 12", 13: UNCHANGED}
        with tempfile.TemporaryDirectory() as folder:
            program = f"{folder}/sample"
            with open(f"{program}.c", "w") as file:
                file.write(HEAD + self.text + TAIL)
            subprocess.run([os.environ.get("CC", "cc"), "-o", program, f"{program}.c"], check=True)
            got = {n: subprocess.run([program, str(n)], capture_output=True, text=True, check=True).stdout.strip()
                   for n in want}
        self.assertEqual(got, want)


if __name__ == "__main__":
    unittest.main()
