// SPDX-License-Identifier: Apache-2.0
import { parseConfig, type Assignment, type Config } from '@relatd/config';
import { RequestOp, tupleOf, type RequestRecord, type TupleRecord } from '@relatd/datapath';
import { REASONS, formatAddress, parseAddress } from '@relatd/model';

/** For tests: the configuration of a YAML text, which must be right. */
export function configOf(text: string): Config {
  const result = parseConfig(text, 'test.yaml');
  if (result.config === undefined) throw new Error(result.problems.map(({ message }) => message).join('; '));
  return result.config;
}

/** For tests: the only assignment of FTP on port 21, with further lines of YAML. */
export function assignmentOf(...lines: readonly string[]): Assignment {
  const text = ['assignments:', '  - helper: ftp', '    port: 21', ...lines.map((line) => `    ${line}`)];
  const [assignment] = configOf(text.join('\n')).assignments;
  if (assignment === undefined) throw new Error('no assignment');
  return assignment;
}

export function bytesOf(address: string): Uint8Array {
  const bytes = parseAddress(address);
  if (bytes === null) throw new Error(`no address: ${address}`);
  return bytes;
}

/** For tests: a TCP tuple. */
export function path(source: string, sourcePort: number, destination: string, destinationPort: number): TupleRecord {
  const family = source.includes(':') ? 6 : 4;
  const addresses = { source: bytesOf(source), destination: bytesOf(destination) };
  return tupleOf({ ...addresses, sourcePort, destinationPort, protocol: 6, family });
}

const OPS = new Map<number, string>(Object.entries(RequestOp).map(([name, number]) => [number, name]));

/** For tests: a request in words. */
export function requestText({ op, tuple, direction, id, slot, reason, start, end }: RequestRecord): string {
  const name = OPS.get(op) ?? '?';
  const end0 = (address: Uint8Array, port: number): string =>
    `${formatAddress(address)}:${port === 0 ? '*' : String(port)}`;
  const side = direction === 0 ? 'original' : 'reply';
  switch (name) {
    case 'expect':
      return `expect ${side} ${end0(tuple.source, tuple.sourcePort)} > ${end0(tuple.destination, tuple.destinationPort)}`;
    case 'watch':
      return `watch ${side} ${String(start)}-${String(end)}`;
    case 'unexpect':
      return `unexpect ${String(id)}/${String(slot)} ${REASONS[reason] ?? '?'}`;
    case 'trust':
      return `trust ${REASONS[reason] ?? '?'}`;
    default:
      return name;
  }
}
