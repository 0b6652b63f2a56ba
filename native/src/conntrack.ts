// SPDX-License-Identifier: Apache-2.0
import { binding, type NativeConntrack } from './binding.js';
import type { Namespace } from './namespace.js';
import { handle } from './handle.js';

/**
 * What came of {@link Conntrack.relate}: an entry was made; connection tracking does not know the control connection (nothing in
 * the namespace uses it, or a rule exempts it); it had an entry of this connection already.
 */
export type Related = 'made' | 'no-master' | 'exists';

/** Netfilter's connection tracking of one network namespace. */
export class Conntrack {
  readonly #native: NativeConntrack;

  /** @throws RELATD_NO_PERMISSION, RELATD_NO_NAMESPACE */
  constructor(namespace: Namespace) {
    this.#native = new binding.Conntrack(namespace[handle]);
  }

  /**
   * Makes the entry of a connection that has not sent a packet yet, as expected by another: `ct state` of its first packet is
   * then related. It is translated as its master is. Both are tuples of 40 bytes as the datapath's tables have them, from who
   * opens (opened) the connection. Waits for the kernel's answer, some tens of microseconds.
   * @throws RELATD_NO_PERMISSION (CAP_NET_ADMIN), RELATD_SYSTEM
   */
  relate(connection: Uint8Array, master: Uint8Array): Related {
    return this.#native.relate(connection, master) as Related;
  }

  close(): void {
    this.#native.close();
  }
}
