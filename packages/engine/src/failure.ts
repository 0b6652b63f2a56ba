// SPDX-License-Identifier: Apache-2.0
import { release } from 'node:os';
import { LayoutError, Limit, isNativeError } from '@relatd/datapath';
import { RelatdError } from '@relatd/model';

/**
 * What the addon throws while a daemon starts, or state is looked at or removed, in the words of the one table of errors. What has
 * no entry there says itself what to do.
 */
export function explained(error: unknown, netns: string | null): unknown {
  const extras = { cause: error };
  if (error instanceof LayoutError && error.found !== null)
    return RelatdError.with(extras, 'LAYOUT_MISMATCH', error.found, Limit.layoutVersion);
  if (!isNativeError(error)) return error;
  switch (error.code) {
    case 'RELATD_LOCKED':
      return RelatdError.with(extras, 'ALREADY_RUNNING', holderOf(error));
    case 'RELATD_NO_PERMISSION':
      return RelatdError.with(extras, 'NOT_ROOT');
    case 'RELATD_KERNEL_TOO_OLD':
      return RelatdError.with(extras, 'KERNEL_TOO_OLD', release());
    case 'RELATD_NO_BPF':
      return RelatdError.with(extras, 'KERNEL_LACKS', 'BPF (CONFIG_BPF_SYSCALL)');
    case 'RELATD_NO_BTF':
      return RelatdError.with(extras, 'KERNEL_LACKS', 'BTF (CONFIG_DEBUG_INFO_BTF)');
    case 'RELATD_NO_BPFFS':
      return RelatdError.with(extras, 'BPFFS_MISSING', '/sys/fs/bpf');
    case 'RELATD_NO_NAMESPACE':
      return RelatdError.with(extras, 'NAMESPACE_MISSING', netns ?? 'of this process');
    default:
      return error;
  }
}

/** 0: it is in another pid namespace, or /proc is hidden. */
function holderOf(error: Error): string {
  const pid = 'pid' in error ? error.pid : 0;
  return typeof pid === 'number' && pid !== 0 ? String(pid) : 'not visible from here';
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
