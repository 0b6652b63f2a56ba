// SPDX-License-Identifier: Apache-2.0
import {
  explainReason,
  formatDetail,
  formatEndpoint,
  formatPath,
  type EndpointPattern,
  type FlowDetail,
  type Protocol,
  type Reason,
} from '@relatd/model';
import type { ControlEvidence, Time } from './evidence.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Milliseconds as people say them: `0.3 ms`, `412 ms`, `1.4 s`, `2 min 5 s`, `3 h 20 min`, `4 d 3 h`. */
export function spanWords(milliseconds: number): string {
  const size = Math.abs(milliseconds);
  if (size < 0.05) return 'less than 0.1 ms';
  if (size < 9.95) return `${size.toFixed(1)} ms`;
  if (size < 999.5) return `${String(Math.round(size))} ms`;
  if (size < 59.95 * SECOND) return `${(size / SECOND).toFixed(1)} s`;
  const whole = Math.round(size / SECOND) * SECOND;
  const two = (unit: number, name: string, less: number, lessName: string): string => {
    const rest = Math.floor((whole % unit) / less);
    return `${String(Math.floor(whole / unit))} ${name}${rest === 0 ? '' : ` ${String(rest)} ${lessName}`}`;
  };
  if (whole < HOUR) return two(MINUTE, 'min', SECOND, 's');
  if (whole < DAY) return two(HOUR, 'h', MINUTE, 'min');
  return two(DAY, 'd', HOUR, 'h');
}

/** What opens a connection. */
export const openerWord = (protocol: Protocol): string => (protocol === 'udp' ? 'first packet' : 'SYN');

/** `0.4 s before its SYN`. */
export function relativeWords(time: Time, opened: Time, protocol: Protocol): string {
  return `${spanWords(time - opened)} ${time <= opened ? 'before' : 'after'} its ${openerWord(protocol)}`;
}

/** A reason's sentence, to stand behind a colon or inside another sentence. */
export function reasonWords(reason: Reason): string {
  const text = explainReason(reason);
  // Not of NAT, or of a TCP option.
  const begin = /^[A-Z](?![A-Z])/.test(text) ? text.charAt(0).toLowerCase() : text.charAt(0);
  return begin + text.slice(1).replace(/\.$/, '');
}

/** `#12, 10.0.1.2:4000 > 10.0.2.2:21 (ftp)`. */
export const controlWords = (control: ControlEvidence): string =>
  `#${control.id}, ${formatPath(control)} (${control.assignment})`;

/** `10.0.1.2:* > 10.0.2.2:40001`. */
export const patternWords = (path: { source: EndpointPattern; destination: EndpointPattern }): string =>
  `${formatEndpoint(path.source)} > ${formatEndpoint(path.destination)}`;

/** `alice RETR big.iso`; empty where nothing is known. */
export const purposeWords = (detail: FlowDetail | null): string => formatDetail(detail);

/** `one`, `3 more`. */
export const countWords = (count: number, one: string, many: string): string =>
  count === 1 ? `one ${one}` : `${String(count)} ${many}`;
