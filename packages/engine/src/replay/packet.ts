// SPDX-License-Identifier: Apache-2.0
import { TCP_FLAG, mappedIPv4, tupleOf, viewOf, type TupleRecord } from '@relatd/datapath';
import type { Reason } from '@relatd/model';
import { PROTOCOL_NUMBER } from '../assignments.js';
import { type CapturedPacket } from './capture.js';
import { readLink, type NetworkLayer } from './link.js';

/** What following connections needs of a packet. */
export interface Packet {
  /** As on the wire, in zone 0. */
  readonly tuple: TupleRecord;
  /** Of the interface and side at which it was captured: equal for equal places. */
  readonly place: number;
  /** Of its interface; null: not known. */
  readonly interface: string | null;
  /** At IP level, in bytes. */
  readonly length: number;
  readonly ttl: number;
  /** TCP; 0 for UDP. */
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  /** Offset of the urgent byte in the payload plus one; 0 without URG. */
  readonly urgent: number;
  /** Of IP and TCP or UDP, in bytes. */
  readonly headers: number;
  /** Of a SYN: the maximum segment size that its sender takes; null: not said. */
  readonly segmentSize: number | null;
  /** As on the wire; `payload` has fewer bytes where the capture cut it. A view. */
  readonly payloadLength: number;
  readonly payload: Uint8Array;
  /** TCP: sequence number behind payload and FIN. */
  readonly end: number;
}

/** Whether a packet may belong to anything that is tracked. Nothing more is read of others. */
export type PortFilter = (protocol: number, sourcePort: number, destinationPort: number) => boolean;

const { tcp: TCP, udp: UDP } = PROTOCOL_NUMBER;
const EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 44, 51, 60]);
const FRAGMENT = 44;
const AUTHENTICATION = 51;
/** As many as the datapath follows. */
const EXTENSION_LIMIT = 6;
const TCP_HEADER = 20;
const UDP_HEADER = 8;
const OPTION = { end: 0, nothing: 1, segmentSize: 2 } as const;

/** Where the transport header is, and where the packet ends. */
interface Transport {
  readonly protocol: number;
  readonly at: number;
  readonly end: number;
}

/**
 * Reads a packet as the datapath does (bpf/lib/packet.h). A reason: why it cannot be tracked. Null: the filter has no
 * use for it.
 */
export function readPacket(captured: CapturedPacket, filter: PortFilter): Packet | Reason | null {
  const network = readLink(captured);
  if (typeof network === 'string') return network;
  const view = viewOf(captured.data);
  const transport =
    network.version === 4 ? readIPv4(view, network.at, captured.length) : readIPv6(view, network.at, captured.length);
  if (typeof transport === 'string') return transport;
  const { protocol, at } = transport;
  const header = protocol === TCP ? TCP_HEADER : UDP_HEADER;
  if (captured.data.length < at + header) return 'truncated';
  if (!filter(protocol, view.getUint16(at), view.getUint16(at + 2))) return null;
  return readTransport(captured, view, network, transport);
}

function readIPv4(view: DataView, at: number, wire: number): Transport | Reason {
  if (view.byteLength < at + 20) return 'truncated';
  const header = (view.getUint8(at) & 0xf) * 4;
  if (view.getUint8(at) >> 4 !== 4 || header < 20) return 'malformed';
  const protocol = view.getUint8(at + 9);
  if (protocol !== TCP && protocol !== UDP) return 'not-tracked-protocol';
  if (view.getUint16(at + 6) & 0x3fff) return 'fragment';
  // Left out by who lets the device cut what is sent into segments: captured before it was.
  const length = view.getUint16(at + 2) || wire - at;
  if (length < header) return 'malformed';
  return at + length > wire ? 'truncated' : { protocol, at: at + header, end: at + length };
}

function readIPv6(view: DataView, at: number, wire: number): Transport | Reason {
  if (view.byteLength < at + 40) return 'truncated';
  if (view.getUint8(at) >> 4 !== 6) return 'malformed';
  const length = view.getUint16(at + 4);
  const end = length === 0 ? wire : at + 40 + length;
  if (end > wire) return 'truncated';
  let protocol = view.getUint8(at + 6);
  let here = at + 40;
  for (let headers = 0; headers < EXTENSION_LIMIT && protocol !== TCP && protocol !== UDP; headers++) {
    if (!EXTENSIONS.has(protocol)) return 'not-tracked-protocol';
    if (view.byteLength < here + 4) return 'truncated';
    const size = view.getUint8(here + 1);
    // An atomic fragment (RFC 6946) is a whole packet.
    if (protocol === FRAGMENT && view.getUint16(here + 2) & 0xfff9) return 'fragment';
    const next = view.getUint8(here);
    here += protocol === FRAGMENT ? 8 : protocol === AUTHENTICATION ? (size + 2) * 4 : (size + 1) * 8;
    protocol = next;
  }
  return protocol === TCP || protocol === UDP ? { protocol, at: here, end } : 'extension-headers';
}

function readTransport(
  captured: CapturedPacket,
  view: DataView,
  network: NetworkLayer,
  { protocol, at, end }: Transport,
): Packet | Reason {
  const { data } = captured;
  const tcp = protocol === TCP;
  const header = tcp ? (view.getUint8(at + 12) >> 4) * 4 : UDP_HEADER;
  if ((tcp && header < TCP_HEADER) || at + header > end) return 'malformed';
  const seq = tcp ? view.getUint32(at + 4) : 0;
  const flags = tcp ? view.getUint8(at + 13) : 0;
  const payloadLength = end - at - header;
  return {
    tuple: tupleOf({
      ...addresses(data, network),
      family: network.version,
      protocol,
      sourcePort: view.getUint16(at),
      destinationPort: view.getUint16(at + 2),
    }),
    place: (captured.interface * 2 ** 32 + network.ifindex) * 4 + SIDES.indexOf(network.side),
    interface: captured.name,
    length: end - network.at,
    ttl: view.getUint8(network.at + (network.version === 4 ? 8 : 7)),
    seq,
    ack: tcp ? view.getUint32(at + 8) : 0,
    flags,
    urgent: flags & TCP_FLAG.urg ? view.getUint16(at + 18) : 0,
    headers: at + header - network.at,
    segmentSize: flags & TCP_FLAG.syn ? segmentSize(view, at + TCP_HEADER, Math.min(at + header, data.length)) : null,
    payloadLength,
    payload: data.subarray(Math.min(at + header, data.length), Math.min(end, data.length)),
    end: (seq + payloadLength + (flags & TCP_FLAG.fin ? 1 : 0)) >>> 0,
  };
}

const SIDES: readonly NetworkLayer['side'][] = [null, 'in', 'out'];

function addresses(data: Uint8Array, { at, version }: NetworkLayer): Pick<TupleRecord, 'source' | 'destination'> {
  if (version === 6) return { source: data.slice(at + 8, at + 24), destination: data.slice(at + 24, at + 40) };
  return { source: mappedIPv4(data, at + 12), destination: mappedIPv4(data, at + 16) };
}

/** RFC 9293, 3.2: what a SYN says of segments, out of the options between two places. */
function segmentSize(view: DataView, from: number, end: number): number | null {
  for (let at = from; at < end;) {
    const kind = view.getUint8(at);
    if (kind === OPTION.end) return null;
    if (kind === OPTION.nothing) {
      at++;
      continue;
    }
    if (at + 2 > end) return null;
    const length = view.getUint8(at + 1);
    if (length < 2) return null;
    if (kind === OPTION.segmentSize && length === 4 && at + 4 <= end) return view.getUint16(at + 2);
    at += length;
  }
  return null;
}
