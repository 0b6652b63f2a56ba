// SPDX-License-Identifier: Apache-2.0

/** Where a connection begins or ends; the port is null where the protocol has none. */
export interface Endpoint {
  readonly address: string;
  readonly port: number | null;
}

/** Ports `from` to `to`, both included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** An endpoint of an expectation: null where any matches. */
export interface EndpointPattern {
  readonly address: string | null;
  readonly port: number | PortRange | null;
}

/**
 * Text that is safe to show. User and file names come from the network: on a terminal their control characters would be
 * commands, and the marks that reverse the direction of writing would make one name look like another.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** `10.0.1.2:2121`, `[2001:db8::1]:2121`, `10.0.1.2:1024-65535`; `*` for what may be anything. */
export function formatEndpoint({ address, port }: EndpointPattern): string {
  const host = address === null ? '*' : address.includes(':') ? `[${address}]` : address;
  if (port === null) return `${host}:*`;
  return typeof port === 'number' ? `${host}:${String(port)}` : `${host}:${formatPorts(port)}`;
}

/** `1024-65535`, `21`. */
export function formatPorts(range: PortRange): string {
  return range.from === range.to ? String(range.from) : `${String(range.from)}-${String(range.to)}`;
}

/** `0x52000000`: marks always show all eight digits. */
export function formatMark(mark: number): string {
  return `0x${(mark >>> 0).toString(16).padStart(8, '0')}`;
}

/** `412 B`, `87.9 KiB`, `1.2 GiB`. */
export function formatBytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = count;
  let unit = 0;
  // 1023.96 KiB would be printed as 1024.0 KiB.
  while (value >= (unit === 0 ? 1024 : 1023.95) && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? String(value) : value.toFixed(1)} ${units[unit] ?? ''}`;
}

/** Seconds as people say them: `0.4s`, `42s`, `3m10s`, `2h05m`, `4d03h`. */
export function formatDuration(seconds: number): string {
  if (seconds < 9.95) return `${Math.max(seconds, 0).toFixed(1)}s`;
  const whole = Math.round(seconds);
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 60) return `${String(whole)}s`;
  if (whole < 3600) return `${String(Math.floor(whole / 60))}m${two(whole % 60)}s`;
  if (whole < 86_400) return `${String(Math.floor(whole / 3600))}h${two(Math.floor(whole / 60) % 60)}m`;
  return `${String(Math.floor(whole / 86_400))}d${two(Math.floor(whole / 3600) % 24)}h`;
}

const UNITS: readonly (readonly [unit: string, milliseconds: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
];

/** Reads what `formatMilliseconds` writes, and any other whole number with a unit: `90s`, `500ms`. Null when it is none. */
export function parseMilliseconds(text: string): number | null {
  const match = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text);
  if (match === null) return null;
  const size = UNITS.find(([unit]) => unit === match[2])?.[1] ?? 1;
  return Number(match[1]) * size;
}

/** Milliseconds as the configuration writes them, exact: `200ms`, `300s`, `2h`, `5d`. */
export function formatMilliseconds(milliseconds: number): string {
  for (const [unit, size] of UNITS) {
    if (milliseconds >= size && milliseconds % size === 0) return `${String(milliseconds / size)}${unit}`;
  }
  return `${String(milliseconds)}ms`;
}
