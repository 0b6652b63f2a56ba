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
export { Capture } from './capture.js';
export { Host, Lab, type HostOptions, type LabOptions, type Side } from './lab.js';
export { deleteNamespace, Namespace, sweep, type IptablesTool } from './namespace.js';
export { RunningProcess, type ExecOptions, type ExecResult, type SpawnOptions } from './process.js';
export { removeOnDeath } from './reaper.js';
export type { TcpStats } from './tcpStats.js';
export type { FtpServer, FtpServerName, FtpServerOptions } from './servers/ftpServer.js';
export {
  availableServers,
  ftpServerNames,
  startFtpServer,
  startProftpd,
  startPureFtpd,
  startVsftpd,
} from './servers/ftpServers.js';
export {
  availableClients,
  ftpClientNames,
  transfer,
  type FtpClientName,
  type TransferOptions,
  type TransferResult,
} from './clients/ftpClient.js';
export { availableTftpServers, startTftpServer, tftpServerNames } from './servers/tftpServer.js';
export type { TftpServer, TftpServerName, TftpServerOptions } from './servers/tftpServer.js';
export { availableTftpClients, tftpClientNames, tftpTransfer } from './clients/tftpClient.js';
export type { TftpClientName, TftpResult, TftpTransfer } from './clients/tftpClient.js';
export { hasNgircd, startNgircd } from './servers/ngircd.js';
export { availableIrcClients, ircClientNames, startIrcClient } from './clients/ircClient.js';
export type { IrcClient, IrcClientName, IrcClientOptions } from './clients/ircClient.js';
export { dccAddress, ScriptedIrcClient, type DccOffer } from './clients/scriptedIrcClient.js';
export { hasGstreamer } from './gstreamer.js';
export { startRtspServer, type RtspServerOptions } from './servers/rtspServer.js';
export { rtspPlay, type RtspPlay, type RtspResult } from './clients/rtspClient.js';
export type { Daemon } from './servers/daemon.js';
export { decode, type DecodedFrame, type DecodedIp, type DecodedTcp } from './decode.js';
export { Peer, PeerConnection, PeerListener, type Endpoint } from './peer.js';
export { PeerSocket, type Datagram } from './peerSocket.js';
export { RawPort, type SeenFrame } from './rawPort.js';
export { openRawPlace, RawTcp, type RawPlace, type RawTcpOptions } from './rawTcp.js';
