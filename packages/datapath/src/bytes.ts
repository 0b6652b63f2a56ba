// SPDX-License-Identifier: Apache-2.0

/** The same memory, to be read by offset. */
export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The text of a field that ends at its first zero. */
export function fieldText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** The IPv4 address that stands at an offset, in its mapped form. */
export function mappedIPv4(bytes: Uint8Array, at: number): Uint8Array {
  const mapped = new Uint8Array(16);
  mapped[10] = 0xff;
  mapped[11] = 0xff;
  mapped.set(bytes.subarray(at, at + 4), 12);
  return mapped;
}
