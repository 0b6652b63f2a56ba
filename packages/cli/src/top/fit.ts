// SPDX-License-Identifier: Apache-2.0
import truncatedWidth from 'fast-string-truncated-width';

/** Text in exactly `width` columns of a terminal: filled up with spaces, or cut with an ellipsis. Wide characters count two. */
export function fit(text: string, width: number, right = false): string {
  if (width <= 0) return '';
  const cut = truncatedWidth(text, { limit: width, ellipsis: '…', ellipsisWidth: 1 });
  const kept = cut.ellipsed ? `${text.slice(0, cut.index)}…` : text.slice(0, cut.index);
  const space = ' '.repeat(Math.max(width - cut.width - (cut.ellipsed ? 1 : 0), 0));
  return right ? space + kept : kept + space;
}
