/** What the kernel's user-space tests assert of eventfds (igt-gpu-tools tests/syncobj_eventfd.c), one claim a test. */
import { describe, expect, test } from 'vitest';
import type { Block } from '../machine.ts';
import { BAD_FD, BAD_HANDLE, drm_syncobj_add_point, drm_syncobj_eventfd, drm_syncobj_signal } from './index.ts';
import { AVAILABLE, last, run, signal, submit } from '../syncobj-stage.ts';

describe('eventfds', () => {
  const eventfd = (obj: string, point: number, fd = 'ev', flags?: string): Block => [
    drm_syncobj_eventfd(obj, point, fd, flags),
  ];
  const fired = (...lines: readonly Block[]): boolean => run(...lines).at.kernel.eventfds['ev']?.fired ?? false;
  const point = (obj = 'a'): Block => [drm_syncobj_add_point(obj, 'n0', 'f0', 1)];
  test('IGT syncobj_eventfd/invalid-bad-flags: EINVAL', () => {
    expect(last(eventfd('a', 0, 'ev', 'NONSENSE'))).toBe('-EINVAL');
  });
  test('IGT syncobj_eventfd/invalid-illegal-handle: ENOENT', () => {
    expect(last(eventfd(BAD_HANDLE, 0))).toBe('-ENOENT');
  });
  test('IGT syncobj_eventfd/invalid-illegal-eventfd: EINVAL', () => {
    expect(last(eventfd('a', 0, BAD_FD))).toBe('-EINVAL');
  });
  test('IGT syncobj_eventfd/wait: a fence is there: "available" fires at once, the other on the signal', () => {
    for (const [given, at] of [
      [submit('a', 'f0'), 0],
      [point(), 1],
    ] as const) {
      expect(fired(given, eventfd('a', at, 'ev', AVAILABLE))).toBe(true);
      expect(fired(given, eventfd('a', at))).toBe(false);
      expect(fired(given, eventfd('a', at), signal('f0'))).toBe(true);
    }
  });
  test('IGT syncobj_eventfd/wait-before-signal: none fires before the fence exists', () => {
    for (const flags of [AVAILABLE, '0']) {
      expect(fired(eventfd('a', 1, 'ev', flags))).toBe(false);
      expect(fired(eventfd('a', 1, 'ev', flags), point())).toBe(flags === AVAILABLE);
      expect(fired(eventfd('a', 1, 'ev', flags), point(), signal('f0'))).toBe(true);
      expect(fired(eventfd('a', 0, 'ev', flags), submit('a', 'f0'), signal('f0'))).toBe(true);
    }
  });
  test('IGT syncobj_eventfd/wait-signaled: both fire at once', () => {
    for (const flags of [AVAILABLE, '0'])
      expect(fired(drm_syncobj_signal('a'), eventfd('a', 0, 'ev', flags))).toBe(true);
  });
});
