// SPDX-License-Identifier: Apache-2.0
import { binding, type NativeNamespace } from './binding.js';
import { handle } from './handle.js';

/** A network interface as rtnetlink shows it, seen from inside its namespace. */
export interface Interface {
  readonly index: number;
  readonly name: string;
  /** `veth`, `bridge`, `vlan`, `tun` …; null for devices without a kind (physical ones, loopback). */
  readonly kind: string | null;
  /** ARPHRD number: 1 Ethernet, 772 loopback, 65534 none. */
  readonly type: number;
  /** Whether packets at tc begin with an Ethernet header. */
  readonly hasEthernetHeader: boolean;
  /** IFF_UP: administratively up. */
  readonly up: boolean;
  /** IFF_LOWER_UP: a carrier is there. */
  readonly running: boolean;
  readonly loopback: boolean;
  /** All IFF_ bits. */
  readonly flags: number;
  readonly mtu: number;
  /** Link-layer address as `aa:bb:…`; '' where there is none. */
  readonly address: string;
  /** The bridge, bond or VRF that this is a port of. */
  readonly master: number | null;
  /** The interface below (VLAN, macvlan) or the other end (veth). */
  readonly link: number | null;
  /** The namespace id of `link` when that is in another namespace. */
  readonly linkNetnsid: number | null;
  readonly vlanId: number | null;
}

/**
 * A network namespace. Methods that need to be inside it enter it on the calling thread and leave before they
 * return; an object without `close` call ends with the collector.
 */
export class Namespace {
  /** @internal */
  readonly [handle]: NativeNamespace;

  private constructor(path: string | null) {
    this[handle] = new binding.Namespace(path);
  }

  /** The namespace of the calling thread. */
  static current(): Namespace {
    return new Namespace(null);
  }

  /**
   * Opens by name (as `ip netns` knows it) or by path, such as `/proc/1234/ns/net`.
   * @throws RELATD_NO_NAMESPACE, RELATD_NO_PERMISSION
   */
  static open(nameOrPath: string): Namespace {
    return new Namespace(nameOrPath.includes('/') ? nameOrPath : `/run/netns/${nameOrPath}`);
  }

  /** SO_NETNS_COOKIE: unique as long as this kernel runs, never reused. */
  get cookie(): bigint {
    return this[handle].cookie;
  }

  /** The inode of the namespace file, as `lsns` prints it; reused after the namespace is gone. */
  get inode(): bigint {
    return this[handle].inode;
  }

  /** All interfaces, by one rtnetlink dump. */
  interfaces(): Interface[] {
    return this[handle].interfaces() as Interface[];
  }

  /**
   * Calls back after interfaces changed (came, went, renamed, up, down, enslaved), at most once per `coalesceMs`.
   * The callback gets nothing: read {@link interfaces} for the state. Keeps the process alive until closed or unref'd.
   */
  watch(callback: () => void, { coalesceMs = 50 }: { coalesceMs?: number } = {}): InterfaceWatch {
    return this[handle].watch(callback, coalesceMs);
  }

  /** Releases the descriptor. Watches and devices made from it live on. */
  close(): void {
    this[handle].close();
  }
}

/** Ends a watch; `close` may be called from inside the callback and more than once. */
export interface InterfaceWatch {
  close(): void;
  ref(): void;
  unref(): void;
}
