// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';

const style = `
:root { color-scheme: light dark; --line: light-dark(#d0d7de, #30363d); --soft: light-dark(#57606a, #9198a1) }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 15px/1.5 system-ui, sans-serif;
  background: light-dark(#f6f8fa, #0d1117); color: light-dark(#1f2328, #e6edf3) }
main { box-sizing: border-box; width: min(30rem, 92vw); padding: 1.5rem 2rem 2rem; border: 1px solid var(--line);
  border-radius: 10px; background: light-dark(#fff, #151b23) }
h1 { font-size: 1.15rem; margin: 0 0 .75rem }
p { margin: .5rem 0; color: var(--soft) }
code { font: .9em ui-monospace, monospace; color: light-dark(#1f2328, #e6edf3) }
.wrong { color: light-dark(#b42318, #ff7b72) }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600 }
input, button { box-sizing: border-box; width: 100%; font: inherit; padding: .5rem .75rem; border-radius: 6px }
input { border: 1px solid var(--line); background: transparent; color: inherit }
button { margin-top: .75rem; border: 0; background: #0b5fd0; color: #fff; font-weight: 600; cursor: pointer }
`;

/** What a page of this file may do: be shown, send its form. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ');

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>relatd: ${title}</title>
<style>${style}</style></head><body><main><h1>relatd: ${title}</h1>${body}</main></body></html>
`;
}

/** Why there is no dashboard where others than this host could see it. */
export const closedPage = page(
  'no dashboard here',
  `<p>Others than this host reach this address, so the dashboard and <code>/v1/</code> ask for a token. None is configured.</p>
<p>Make one with <code>(umask 077; openssl rand -hex 32 &gt; /etc/relatd/token)</code>, name it in the configuration as
<code>listen: { token-file: /etc/relatd/token }</code>, and start relatd again. Or let <code>listen.metrics</code> be on
127.0.0.1.</p><p><a href="/metrics">/metrics</a> is served: it has no addresses.</p>`,
);

/** Why there is no dashboard where it was not built. */
export const missingPage = page(
  'the dashboard is not built',
  '<p>Build it with <code>npm run build</code>, and start relatd again.</p>',
);

/** Asks for the token; `again` after a wrong one. */
export function loginPage(again: boolean): string {
  const wrong = again ? '<p class="wrong" role="alert">That is not the token.</p>' : '';
  return page(
    'token, please',
    `<p>The token stands in the file that <code>listen.token-file</code> of the configuration names.</p>${wrong}
<form method="post"><label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Open the dashboard</button></form>`,
  );
}
