// SPDX-License-Identifier: Apache-2.0
// @ts-check
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { fail, root, run, tail } from '../setup/run.mjs';
import { changelog, control, copyright } from './control.mjs';
import { configurationPage, commandPage } from './manual.mjs';
import { runtimeModules } from './modules.mjs';

const home = 'usr/lib/relatd';
const script = `${home}/node_modules/@relatd/cli/bin/relatd.js`;
const documents = 'usr/share/doc/relatd';

/** Lays out the package's files, as they will stand on the machine, below `tree`. @param {string} tree @param {number} seconds */
export async function stage(tree, seconds) {
  const modules = runtimeModules();
  for (const { folder, place, files } of modules)
    for (const file of files) copy(tree, join(folder, file), join(home, place, file));
  stageAddon(tree);
  write(tree, script, readFileSync(join(tree, script), 'utf8').replace(/^#!.*/, '#!/usr/bin/node'), 0o755);
  mkdirSync(join(tree, 'usr/bin'), { recursive: true });
  symlinkSync(`../${script.slice('usr/'.length)}`, join(tree, 'usr/bin/relatd'));

  const ours = join(root, 'packaging');
  for (const unit of ['relatd.service', 'relatd-match.service'])
    copy(tree, join(ours, unit), `lib/systemd/system/${unit}`);
  copy(tree, join(ours, 'relatd.sysusers'), 'usr/lib/sysusers.d/relatd.conf');
  copy(tree, join(ours, 'relatd.yaml'), 'etc/relatd/relatd.yaml');
  copy(tree, join(ours, 'lintian-overrides'), 'usr/share/lintian/overrides/relatd');

  copy(tree, join(ours, 'gateway.yaml'), `${documents}/examples/relatd.yaml`);
  for (const entry of readdirSync(join(root, 'examples'), { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isFile()) copy(tree, file, join(documents, relative(root, file)));
  }
  for (const file of ['README.md', 'docs/deploying.md', 'docs/helpers.md'])
    writeCompressed(tree, `${documents}/${file}`, readFileSync(join(root, file)));
  writeCompressed(tree, `${documents}/changelog`, changelog(seconds));
  write(tree, `${documents}/copyright`, copyright(modules));

  writeCompressed(tree, 'usr/share/man/man8/relatd.8', await commandPage(seconds));
  writeCompressed(tree, 'usr/share/man/man5/relatd.yaml.5', await configurationPage(seconds));
  await stageCompletions(tree);

  write(tree, 'DEBIAN/control', control(tree, `${home}/relatd_native.node`));
  write(tree, 'DEBIAN/conffiles', '/etc/relatd/relatd.yaml\n');
  for (const name of ['postinst', 'prerm', 'postrm'])
    write(tree, `DEBIAN/${name}`, readFileSync(join(ours, name)), 0o755);
}

/** The addon's place is where native/src/binding.ts looks for it. @param {string} tree */
function stageAddon(tree) {
  const built = join(root, 'native/build/Release/relatd_native.node');
  if (!existsSync(built)) fail('the addon is not built: run `npm run build` first');
  const place = join(tree, home, 'relatd_native.node');
  copyFileSync(built, place);
  const { status, ...output } = run('strip', ['--strip-unneeded', place]);
  if (status !== 0) fail(`strip failed:\n${tail(output)}`);
  chmodSync(place, 0o644);
}

/** What `relatd completion` prints. @param {string} tree */
async function stageCompletions(tree) {
  const { commands } = await import('../../packages/cli/dist/commands.js');
  const { bashCompletion } = await import('../../packages/cli/dist/completion/bash.js');
  const { fishCompletion } = await import('../../packages/cli/dist/completion/fish.js');
  const { zshCompletion } = await import('../../packages/cli/dist/completion/zsh.js');
  write(tree, 'usr/share/bash-completion/completions/relatd', bashCompletion(commands));
  write(tree, 'usr/share/zsh/vendor-completions/_relatd', zshCompletion(commands));
  write(tree, 'usr/share/fish/vendor_completions.d/relatd.fish', fishCompletion(commands));
}

/** @param {string} tree @param {string} from @param {string} place */
function copy(tree, from, place) {
  write(tree, place, readFileSync(from));
}

/** @param {string} tree @param {string} place @param {string | Uint8Array} content @param {number} [mode] */
function write(tree, place, content, mode = 0o644) {
  const path = join(tree, place);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, mode);
}

/** As policy wants it of documentation; without a time stamp. @param {string} tree @param {string} place @param {string | Uint8Array} content */
function writeCompressed(tree, place, content) {
  write(tree, `${place}.gz`, gzipSync(content, { level: 9 }));
}
