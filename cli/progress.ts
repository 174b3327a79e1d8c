/** Progress: a line asked for ten times a second while something goes on, and how numbers and times read in it. */
import type { Terminal } from './terminal.ts';

const EVERY_MS = 100;

export class Progress {
  private readonly timer: NodeJS.Timeout;
  private readonly terminal: Terminal;

  constructor(terminal: Terminal, line: () => string, every = EVERY_MS) {
    this.terminal = terminal;
    this.timer = setInterval(() => terminal.progress(line()), every);
    this.timer.unref();
  }
  end(): void {
    clearInterval(this.timer);
    this.terminal.progress('');
  }
}

/** A time for people: 340 ms, 12 s, 3 min 20 s, 2 h 5 min. */
export function took(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
