// SPDX-License-Identifier: Apache-2.0
export { addressBytes, addressText } from './address.js';
export { fragments, networkOffset, type FragmentOptions } from './fragment.js';
export {
  concat,
  internetChecksum,
  ip,
  macBytes,
  tcp,
  tcpFlags,
  tcpOption,
  udp,
  type Bytes,
  type Extension,
  type LinkOptions,
  type NetworkOptions,
  type TcpOptions,
  type UdpOptions,
} from './packet.js';
export { linkType, pcapBytes, readPcap, writePcap, type CapturedPacket } from './pcap.js';
