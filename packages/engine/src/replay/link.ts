// SPDX-License-Identifier: Apache-2.0
import { viewOf } from '@relatd/datapath';
import type { Reason } from '@relatd/model';
import { type CapturedPacket, type CaptureSide } from './capture.js';

/** Where a packet's IP header is, and what the link layer says of its way. */
export interface NetworkLayer {
  readonly at: number;
  readonly version: 4 | 6;
  readonly side: CaptureSide;
  /** Of the interface; 0 where the link layer does not say. */
  readonly ifindex: number;
}

/** LINKTYPE numbers of tcpdump.org. 12 and 14 are what some systems write for raw IP. */
const LINK = { null: 0, ethernet: 1, loop: 108, linux: 113, linux2: 276, ipv4: 228, ipv6: 229 } as const;
const RAW: ReadonlySet<number> = new Set([12, 14, 101]);
const KNOWN: ReadonlySet<number> = new Set([...Object.values(LINK), ...RAW]);

/** Bytes in front of the IP header, tags left out; of the others none. */
const HEADERS: ReadonlyMap<number, number> = new Map([
  [LINK.null, 4],
  [LINK.ethernet, 14],
  [LINK.loop, 4],
  [LINK.linux, 16],
  [LINK.linux2, 20],
]);

/** AF_INET6 of Linux, the BSDs and macOS. */
const FAMILY_IPV6: ReadonlySet<number> = new Set([10, 24, 28, 30]);
const FAMILY_IPV4 = 2;

const ETHER_TYPE = { ipv4: 0x0800, ipv6: 0x86dd } as const;
const TAGS: ReadonlySet<number> = new Set([0x8100, 0x88a8]);
/** As many as the datapath reads. */
const TAG_LIMIT = 2;

/** Packet types of Linux's cooked captures. */
const OUTGOING = 4;

export const isKnownLink = (link: number): boolean => KNOWN.has(link);

/** Reads what is in front of the IP header. */
export function readLink({ data, link, side }: CapturedPacket): NetworkLayer | Reason {
  const view = viewOf(data);
  const header = HEADERS.get(link) ?? 1;
  if (data.length < header) return 'truncated';
  switch (link) {
    case LINK.ethernet:
      return behindType(view, 12, header, { side, ifindex: 0 });
    case LINK.linux:
      return behindType(view, 14, header, { side: sideOf(view.getUint16(0)), ifindex: 0 });
    case LINK.linux2:
      return behindType(view, 0, header, { side: sideOf(view.getUint8(10)), ifindex: view.getUint32(4) });
    case LINK.null:
    case LINK.loop: {
      // Some write it in the byte order of their machine; the family fits into one byte.
      const family = Math.min(view.getUint32(0), view.getUint32(0, true));
      if (family !== FAMILY_IPV4 && !FAMILY_IPV6.has(family)) return 'not-ip';
      return { at: header, version: family === FAMILY_IPV4 ? 4 : 6, side, ifindex: 0 };
    }
    default: {
      const version = view.getUint8(0) >> 4;
      return version === 4 || version === 6 ? { at: 0, version, side, ifindex: 0 } : 'not-ip';
    }
  }
}

const sideOf = (type: number): CaptureSide => (type === OUTGOING ? 'out' : 'in');

/** `typeAt` is where the protocol's number stands, `from` where it begins, or the tags in front of it. */
function behindType(
  view: DataView,
  typeAt: number,
  from: number,
  place: Pick<NetworkLayer, 'side' | 'ifindex'>,
): NetworkLayer | Reason {
  let type = view.getUint16(typeAt);
  let at = from;
  for (let tags = 0; tags < TAG_LIMIT && TAGS.has(type); tags++) {
    if (view.byteLength < at + 4) return 'truncated';
    type = view.getUint16(at + 2);
    at += 4;
  }
  if (type === ETHER_TYPE.ipv4) return { at, version: 4, ...place };
  return type === ETHER_TYPE.ipv6 ? { at, version: 6, ...place } : 'not-ip';
}
