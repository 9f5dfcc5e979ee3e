;;; Opens a file in lsp-mode, carries out a code action of Cato's, takes a suggestion. -*- lexical-binding: t -*-
;; Batch: emacs -Q --batch -l INIT -l lsp_mode.el FILE BEGINNING..., where INIT is what docs/editors.md says.
(require 'lsp-mode)
(require 'lsp-inline-completion)
(require 'json)

(setq lsp-auto-guess-root t
      lsp-enable-file-watchers nil
      lsp-enable-suggest-server-download nil
      lsp-client-packages nil
      lsp-keep-workspace-alive nil)
(find-file (pop command-line-args-left))
(python-mode)
(lsp)
(with-timeout (60 (error "lsp-mode has not connected"))
  (while (not (lsp-workspaces)) (accept-process-output nil 0.2)))

(cl-flet ((status () (lsp-request "cato/status" (make-hash-table))))
  (with-timeout (120 (error "The engine is not ready"))
    (while (not (equal (gethash "phase" (gethash "engine" (status))) "ready")) (accept-process-output nil 0.5)))
  (goto-char (point-min))
  (let* ((found (append (lsp-code-actions-at-point) nil))
         (action (seq-find (lambda (each) (string-prefix-p "Cato: Document" (lsp:code-action-title each))) found))
         suggested)
    (lsp-execute-code-action action)
    (with-timeout (60 (error "The task has not ended"))
      (while (null (gethash "summarization" (gethash "kinds" (status)))) (accept-process-output nil 0.2)))
    (let ((documented (buffer-string)))
      (while (and command-line-args-left (not suggested))
        (goto-char (point-max))
        (delete-region (line-beginning-position) (point))
        (insert (pop command-line-args-left))
        (lsp-inline-completion-display)
        (setq suggested (lsp-inline-completion--active-p)))
      (let ((typed (buffer-string)))
        (when suggested (lsp-inline-completion-accept))
        (princ (json-encode
                `(:titles ,(mapcar #'lsp:code-action-title found)
                  :outcomes ,(gethash "outcomes" (gethash "summarization" (gethash "kinds" (status))))
                  :text ,documented :typed ,typed :accepted ,(buffer-string))))))))
