"use client";
// A page that trains in the background, and shows what came of it.
import { useEffect } from "react";
import * as steepest from "steepest";
import { train } from "../training.mjs";

export default function Page() {
  useEffect(() => {
    const show = (title, text) => {
      document.body.textContent = text;
      document.title = title;
    };
    train(steepest, { threads: 2 }).then(
      (result) => show("done", JSON.stringify(result)),
      (error) => show("failed", String(error)),
    );
  }, []);
  return <main>training</main>;
}
