// SPDX-License-Identifier: Apache-2.0
import { ApiError, errnoOf, messageOf, type ErrorAnswer } from '@relatd/client';

/** An answer other than 200, thrown by a route. */
export class Refusal extends Error {
  readonly statusCode: number;
  readonly answer: ErrorAnswer;

  constructor(statusCode: number, answer: ErrorAnswer) {
    super(answer.message);
    this.statusCode = statusCode;
    this.answer = answer;
  }
}

export function refuse(statusCode: number, code: string, message: string): never {
  throw new Refusal(statusCode, { code, message });
}

/** Status and `error` member for whatever a route threw. */
export function answerOf(error: unknown): { status: number; answer: ErrorAnswer } {
  if (error instanceof Refusal) return { status: error.statusCode, answer: error.answer };
  const message = messageOf(error);
  if (error instanceof ApiError && error.code === 'API_BAD_FILTER') {
    return { status: 400, answer: { code: 'bad-request', message } };
  }
  if (typeof error === 'object' && error !== null) {
    // A configuration that does not hold: the client shows every problem of it.
    if ('problems' in error && Array.isArray(error.problems) && error.problems.length > 0) {
      const problems = error.problems.map((problem) => String(problem));
      return { status: 422, answer: { code: errnoOf(error) || 'configuration', message, problems } };
    }
    if ('statusCode' in error && typeof error.statusCode === 'number' && error.statusCode < 500) {
      return { status: error.statusCode, answer: { code: 'bad-request', message } };
    }
  }
  return { status: 500, answer: { code: errnoOf(error) || 'internal', message } };
}
