/** Chromium, without a screen, for tests of what is looked at in a browser. Only tests import it; it is not shipped. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** Where it may be; CHROMIUM names another place. */
const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** @throws with what to do, so that nobody believes that pages were tested where there is no browser */
export function chromiumPath(paths: readonly string[]): string {
  const found = paths.find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new Error(
    'the pages are tested in Chromium, and there is none: apt-get install chromium, or set CHROMIUM to it',
  );
}
/** A browser; whoever opens it closes it. */
export const openChromium = (): Promise<Browser> =>
  chromium.launch({
    executablePath: chromiumPath([process.env['CHROMIUM'] ?? '', ...PATHS]),
    args: ['--no-sandbox'],
  });
