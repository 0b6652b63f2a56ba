// SPDX-License-Identifier: Apache-2.0
import { viewOf } from './bytes.js';
import {
  INTERFACE_KEY_SIZE,
  INTERFACE_SIZE,
  writeInterface,
  writeInterfaceKey,
  type InterfaceKeyRecord,
  type InterfaceRecord,
} from './generated/layout.js';
import { interfaceId, type Tables } from './tables.js';

/** What the datapath is to know of an interface, or of a VLAN on it. */
export interface InterfaceEntry {
  readonly key: InterfaceKeyRecord;
  readonly value: InterfaceRecord;
}

/** Makes the table say exactly this. Changes come at any time, most of them concern nobody: only differences are written. */
export function writeInterfaces(tables: Pick<Tables, 'map' | 'interfaces'>, entries: readonly InterfaceEntry[]): void {
  const map = tables.map('interfaces');
  const before = tables.interfaces();
  for (const { key, value } of entries) {
    const id = interfaceId(key);
    const known = before.get(id);
    before.delete(id);
    if (known?.routing === value.routing && known.zone === value.zone && known.flags === value.flags) continue;
    const bytes = new Uint8Array(INTERFACE_SIZE);
    writeInterface(viewOf(bytes), 0, value);
    map.update(keyBytes(key), bytes);
  }
  for (const { key } of before.values()) map.delete(keyBytes(key));
}

function keyBytes(key: InterfaceKeyRecord): Uint8Array {
  const bytes = new Uint8Array(INTERFACE_KEY_SIZE);
  writeInterfaceKey(viewOf(bytes), 0, key);
  return bytes;
}
