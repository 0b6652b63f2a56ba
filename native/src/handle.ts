// SPDX-License-Identifier: Apache-2.0

/** The native object behind a class of the face. Not exported from the package: only the face may reach through. */
export const handle: unique symbol = Symbol('relatd.handle');
