// SPDX-License-Identifier: Apache-2.0
import { Namespace } from '@relatd/datapath';

/** Where a network namespace is found, by name as `ip netns` knows it or by path. */
export function namespacePath(netns: string): string {
  return netns.includes('/') ? netns : `/run/netns/${netns}`;
}

/** A network namespace by name or path; null: the caller's. @throws RELATD_NO_NAMESPACE, RELATD_NO_PERMISSION */
export function openNamespace(netns: string | null): Namespace {
  return netns === null ? Namespace.current() : Namespace.open(netns);
}
