/* SPDX-License-Identifier: MIT */
#include "cli/fuzz_plot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

#define NR_COLUMNS 6
#define WIDTH 640
#define PANEL_HEIGHT 120
#define MARGIN 24

enum { SECONDS, INPUTS };	/* that go on from one search to the next; the others are told as a whole */

struct rows {
	double (*values)[NR_COLUMNS];
	size_t nr, room;
};

static int row_add(struct rows *rows, const double *values, const double *base)
{
	size_t i;

	if (rows->nr == rows->room) {
		size_t room = rows->room ? 2 * rows->room : 256;
		double (*larger)[NR_COLUMNS] = realloc(rows->values, room * sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		rows->values = larger;
		rows->room = room;
	}
	for (i = 0; i < NR_COLUMNS; i++)
		rows->values[rows->nr][i] = values[i] + base[i];
	rows->nr++;
	return 0;
}

static int rows_read(FILE *file, struct rows *rows)
{
	double v[NR_COLUMNS], base[NR_COLUMNS] = { 0 };
	char line[256];
	int r = 0;

	while (!r && fgets(line, sizeof(line), file)) {
		if (line[0] == '#' && rows->nr) {
			base[SECONDS] = rows->values[rows->nr - 1][SECONDS];
			base[INPUTS] = rows->values[rows->nr - 1][INPUTS];
		}
		if (sscanf(line, "%lf,%lf,%lf,%lf,%lf,%lf", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5]) == NR_COLUMNS)
			r = row_add(rows, v, base);
	}
	return r;
}

static double largest(const struct rows *rows, unsigned int column)
{
	double max = 0;
	size_t i;

	for (i = 0; i < rows->nr; i++)
		max = rows->values[i][column] > max ? rows->values[i][column] : max;
	return max;
}

static void panel_write(FILE *file, const struct rows *rows, unsigned int column, const char *name)
{
	double width = WIDTH - 2 * MARGIN, height = PANEL_HEIGHT - 2 * MARGIN;
	double seconds = largest(rows, SECONDS), max = largest(rows, column);
	unsigned int top = (column - 1) * PANEL_HEIGHT + MARGIN;
	size_t i;

	fprintf(file, "<text x=\"%d\" y=\"%u\">%s: %.0f</text>\n<rect x=\"%d\" y=\"%u\" width=\"%.0f\" height=\"%.0f\"/>\n"
		"<polyline points=\"", MARGIN, top - 6, name, max, MARGIN, top, width, height);
	for (i = 0; i < rows->nr; i++)
		fprintf(file, "%.1f,%.1f ", MARGIN + (seconds > 0 ? rows->values[i][SECONDS] / seconds : 0) * width,
			top + height - (max > 0 ? rows->values[i][column] / max : 0) * height);
	fprintf(file, "\"/>\n");
}

static void plot_write(FILE *file, const struct rows *rows)
{
	static const char *const names[] = { "inputs", "corpus", "places of the kernel", "findings", "deaths" };
	unsigned int i, height = (NR_COLUMNS - 1) * PANEL_HEIGHT + MARGIN;

	fprintf(file, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" font-family=\"sans-serif\" "
		"font-size=\"12\">\n<style>rect { fill: none; stroke: #999; } polyline { fill: none; stroke: #06c; }</style>\n",
		WIDTH, height);
	for (i = 1; i < NR_COLUMNS; i++)
		panel_write(file, rows, i, names[i - 1]);
	fprintf(file, "<text x=\"%d\" y=\"%u\">0 to %.0f s</text>\n</svg>\n", MARGIN, height - 8, largest(rows, SECONDS));
}

int fuzz_plot(const char *csv_path, const char *svg_path, struct err *err)
{
	struct rows rows = { NULL };
	FILE *file = fopen(csv_path, "re");
	int r;

	if (!file)
		return err_set(err, errno, "%s: %s", csv_path, strerror(errno));
	r = rows_read(file, &rows);
	fclose(file);
	file = r ? NULL : fopen(svg_path, "we");
	if (!r && !file)
		r = -errno;
	if (file) {
		plot_write(file, &rows);
		r = fclose(file) ? -errno : 0;
	}
	free(rows.values);
	return r ? err_set(err, -r, "%s: %s", svg_path, strerror(-r)) : 0;
}
