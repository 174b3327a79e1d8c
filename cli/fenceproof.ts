#!/usr/bin/env node
/** The door: connects the program to this process. */
import { main } from './main.ts';
import { endQuietlyOnClosedPipe, processTerminal } from './terminal.ts';

/** EX_SOFTWARE of sysexits.h: neither the input nor the design is at fault, we are. */
const OUR_MISTAKE = 70;

endQuietlyOnClosedPipe();
try {
  process.exitCode = await main(process.argv.slice(2), processTerminal());
} catch (error) {
  console.error('fenceproof: a mistake of its own; please report it with these lines:\n', error);
  process.exitCode = OUR_MISTAKE;
}
