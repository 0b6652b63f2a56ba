// SPDX-License-Identifier: Apache-2.0

/** Every error of the client, by its stable code. */
const messages = {
  API_NO_DAEMON: (path: string) =>
    `no relatd daemon answers at ${path}: start one with \`relatd up\`, or choose its socket with --socket or $RELATD_SOCKET`,
  API_NO_PERMISSION: (path: string) =>
    `no permission to use the socket ${path}: run as root, or become a member of the group that it belongs to`,
  API_CONNECTION_LOST: (path: string) =>
    `the daemon at ${path} closed the connection: look at its log, it may have been stopped or restarted`,
  API_TIMEOUT: (path: string, seconds: string) =>
    `the daemon at ${path} did not answer within ${seconds} s: it may be stopped or overloaded, look at its log`,
  API_BAD_ANSWER: (path: string) =>
    `what answers at ${path} is not a relatd daemon: choose the right one with --socket`,
  API_BAD_FILTER: (what: string) => what,
  API_REFUSED: (message: string) => message,
} as const;

export type ApiErrorCode = keyof typeof messages;

/** What the client throws. The message is one line and says what to do. */
export class ApiError extends Error {
  readonly code: ApiErrorCode;
  /** What the daemon itself answered, when it did: its own error code and, for a bad configuration, the problems. */
  readonly answer: ErrorAnswer | null;

  private constructor(code: ApiErrorCode, message: string, answer: ErrorAnswer | null) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.answer = answer;
  }

  static of<C extends ApiErrorCode>(code: C, ...details: Parameters<(typeof messages)[C]>): ApiError {
    const format = messages[code] as (...details: Parameters<(typeof messages)[C]>) => string;
    return new ApiError(code, format(...details), null);
  }

  /** The daemon understood the request and said no. */
  static refused(answer: ErrorAnswer): ApiError {
    return new ApiError('API_REFUSED', answer.message, answer);
  }
}

/** The `error` member of every answer that is not a success. */
export interface ErrorAnswer {
  readonly code: string;
  readonly message: string;
  /** Lines `file:line:column: what is wrong`, when the configuration is what was refused. */
  readonly problems?: readonly string[];
}

/** The `code` of a system error (`ECONNREFUSED`), or an empty string. */
export function errnoOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return '';
}

/** The message of whatever was thrown, on one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s*\n\s*/g, ' ').trim();
}
