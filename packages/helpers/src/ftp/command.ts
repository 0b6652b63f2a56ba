// SPDX-License-Identifier: Apache-2.0

/** A client's line. */
export interface Command {
  /** In capitals. */
  readonly verb: string;
  /** What stands behind the first space; null without a space. */
  readonly argument: string | null;
}

/**
 * Reads a client's line (RFC 959, 5.3.1): a verb of three letters or more, in any case, then the end or one space and the
 * argument. Verbs of RFC 959 have no more than four, later ones up to nine letters and digits. Null: no command of FTP.
 */
export function readCommand(line: string): Command | null {
  const match = /^[A-Za-z][A-Za-z0-9]{2,9}(?= |$)/.exec(line);
  if (match === null) return null;
  const verb = match[0].toUpperCase();
  return { verb, argument: line.length > verb.length ? line.slice(verb.length + 1) : null };
}

const VERBS: ReadonlySet<string> = new Set(
  [
    // RFC 959, 4.1; RFC 1123, 4.1.3.1 adds the X variants; RFC 737 and 743.
    'USER PASS ACCT CWD CDUP SMNT REIN QUIT PORT PASV TYPE STRU MODE RETR STOR STOU APPE ALLO REST RNFR RNTO ABOR DELE RMD',
    'MKD PWD LIST NLST SITE SYST STAT HELP NOOP XCUP XCWD XMKD XPWD XRMD XSEN XSEM XMAS XRSQ XRCP',
    // RFC 2228, 3 and RFC 4217.
    'AUTH ADAT PROT PBSZ CCC MIC CONF ENC',
    // RFC 1639, 2389, 2428, 2640, 3659, 7151.
    'LPRT LPSV FEAT OPTS EPRT EPSV LANG MDTM MLSD MLST SIZE HOST',
    // Without an RFC, but sent by clients: lftp, FileZilla, WinSCP, NcFTP, FXP clients.
    'ALGS AVBL CLNT COMB CPSV CSID DSIZ ESTA ESTP HASH MD5 MFCT MFF MFMT MMD5 PRET RANG RMDA SPSV SSCN THMB',
    'XAUT XCRC XMD5 XSHA XSHA1 XSHA256 XSHA512',
  ].flatMap((verbs) => verbs.split(' ')),
);

/** Whether a verb is one of FTP's. None of HTTP's, SIP's or SMTP's methods and greetings is. */
export function isVerb(verb: string): boolean {
  return VERBS.has(verb);
}

const TRANSFERS: ReadonlySet<string> = new Set(['RETR', 'STOR', 'STOU', 'APPE', 'LIST', 'NLST', 'MLSD']);

/** Whether a command uses the data connection. MLST does not (RFC 3659, 7.2). */
export function isTransfer(verb: string): boolean {
  return TRANSFERS.has(verb);
}
