/** For tests that ask whether a comparison is able to fail. */

/** Run this with `method` replaced by `fault`; the method comes back whatever happens. */
export function withFault<T extends object, K extends keyof T, R>(
  prototype: T,
  method: K,
  fault: T[K],
  run: () => R,
): R {
  const real = prototype[method];
  prototype[method] = fault;
  try {
    return run();
  } finally {
    prototype[method] = real;
  }
}
