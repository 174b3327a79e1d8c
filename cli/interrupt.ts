/**
 * Ctrl-C: the first asks for an end after what is under way, the second ends at once. What was found is on disk by
 * then, because it is written before anything else is done with it.
 */
import { INTERRUPTED } from './refusal.ts';

export interface Interrupts {
  readonly happened: boolean;
  /** Stop listening. */
  forget(): void;
}

/** Hear Ctrl-C from now on; `heard` is called at the first. */
export function hearInterrupts(heard: () => void): Interrupts {
  let happened = false;
  const listener = (): void => {
    if (happened) process.exit(INTERRUPTED);
    happened = true;
    heard();
  };
  process.on('SIGINT', listener);
  process.on('SIGTERM', listener);
  return {
    get happened() {
      return happened;
    },
    forget() {
      process.off('SIGINT', listener);
      process.off('SIGTERM', listener);
    },
  };
}
