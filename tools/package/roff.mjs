// SPDX-License-Identifier: Apache-2.0
// @ts-check
// The few words of man(7) that our pages need.

/** Text as it stands, hyphens as hyphens. @param {string} text */
export function plain(text) {
  const escaped = text.replaceAll('\\', String.raw`\e`).replaceAll('`', String.raw`\(ga`);
  return escaped.replaceAll(/^(?=[.'])/gm, String.raw`\&`);
}

/** What can be typed: its hyphens are minus signs. @param {string} text */
export function literal(text) {
  return plain(text).replaceAll('-', String.raw`\-`);
}

/** Text in which what stands between backquotes is bold. @param {string} text */
export function prose(text) {
  const parts = text.split('`');
  return parts.map((part, index) => (index % 2 === 1 ? bold(part) : plain(part))).join('');
}

/** @param {string} text */
export const bold = (text) => String.raw`\fB${literal(text)}\fR`;

/** @param {string} text */
export const italic = (text) => String.raw`\fI${literal(text)}\fR`;

/** A paragraph with its term hanging out. @param {string} term already marked up @param {string} body already marked up */
export const entry = (term, body) => `.TP\n${term}\n${body}\n`;

/** @param {string} title @param {string} body already marked up */
export const section = (title, body) => `.SH ${title}\n${body}`;

/** @param {string} text lines to show as they are */
export function example(text) {
  return `.RS 4\n.nf\n${literal(text.trimEnd())}\n.fi\n.RE\n`;
}

/** @param {string} name @param {number} number @param {string} version @param {number} seconds @param {string} about */
export function head(name, number, version, seconds, about) {
  const date = new Date(seconds * 1000).toISOString().slice(0, 10);
  return `.\\" SPDX-License-Identifier: Apache-2.0\n.\\" Generated; see tools/package/manual.mjs.\n.TH ${name} ${number} ${date} "relatd ${version}"\n${section('NAME', `${literal(name)} \\- ${plain(about)}\n`)}`;
}
