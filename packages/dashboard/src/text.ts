// SPDX-License-Identifier: Apache-2.0

/** `23:58:50.905` of a time in milliseconds, by this browser's clock. */
export function clock(at: number): string {
  const date = new Date(at);
  return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

const format = new Intl.NumberFormat('en');

/** `16,384`. */
export function number(value: number): string {
  return format.format(value);
}
