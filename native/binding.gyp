# SPDX-License-Identifier: Apache-2.0
{
  'targets': [
    {
      'target_name': 'relatd_native',
      'sources': [
        'addon/addon.cc',
        'addon/args.cc',
        'addon/attach.cc',
        'addon/bpf_map.cc',
        'addon/bpf_object.cc',
        'addon/bpf_program.cc',
        'addon/bpf_syscall.cc',
        'addon/bpffs.cc',
        'addon/clsact.cc',
        'addon/directory_lock.cc',
        'addon/errors.cc',
        'addon/event_ring.cc',
        'addon/hold_device.cc',
        'addon/interfaces.cc',
        'addon/libbpf_log.cc',
        'addon/loop_watch.cc',
        'addon/map_entries.cc',
        'addon/namespace.cc',
        'addon/netlink.cc',
        'addon/netns.cc',
        'addon/notify.cc',
        'addon/object_pins.cc',
        'addon/ring_reader.cc',
        'addon/system.cc',
        'addon/tap.cc',
        'addon/tcx.cc',
      ],
      'defines': [
        'NAPI_VERSION=9',
        'NAPI_DISABLE_CPP_EXCEPTIONS',
        'NODE_ADDON_API_DISABLE_DEPRECATED',
        # While a worker is being ended no call into JavaScript works any more: that is no reason to abort the process.
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      # As system headers: their warnings are not ours.
      'cflags': [
        '-isystem', '<!(node -p "require(\'path\').resolve(require(\'node-addon-api\').include_dir)")',
        '-Wall', '-Wextra', '-Werror', '-Wno-cast-function-type', '-fvisibility=hidden',
        '<!@(pkg-config --cflags libbpf)',
      ],
      'cflags_cc!': ['-std=gnu++17'],
      'cflags_cc': ['-std=gnu++20'],
      'libraries': ['<!@(pkg-config --libs libbpf)'],
    },
  ],
}
