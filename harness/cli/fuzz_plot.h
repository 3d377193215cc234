/* SPDX-License-Identifier: MIT */
/* How a campaign went, as a picture: what campaign.csv of a corpus folder says, over time. */
#ifndef VMASSAY_CLI_FUZZ_PLOT_H
#define VMASSAY_CLI_FUZZ_PLOT_H

struct err;

/*
 * Writes an SVG from a file of lines "seconds,inputs,corpus,cover,findings,deaths". A line that begins with '#' begins
 * another search, which goes on where the one before it ended: its time and inputs are added. -errno and a line.
 */
int fuzz_plot(const char *csv_path, const char *svg_path, struct err *err);

#endif
