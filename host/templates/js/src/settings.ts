// @ts-ignore: given by the host (https://github.com/WebAssembly/wasi-config)
import { get } from "wasi:config/store@0.2.0-rc.1";

/** A setting of the manifest, as text. */
export function setting(name: string): string | undefined {
  return get(name);
}
