// SPDX-License-Identifier: Apache-2.0
import { Namespace } from '@relatd/datapath';

/** A network namespace by name or path; null: the caller's. @throws RELATD_NO_NAMESPACE, RELATD_NO_PERMISSION */
export function openNamespace(netns: string | null): Namespace {
  return netns === null ? Namespace.current() : Namespace.open(netns);
}
