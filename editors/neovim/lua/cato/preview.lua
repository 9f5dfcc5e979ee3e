--- Shows answers while they grow: what becomes an edit as virtual lines in its place, the rest in a buffer of its own.
local M = {}

local NAMESPACE = vim.api.nvim_create_namespace("cato.preview")

---@class cato.Preview
---@field id string
---@field kind "generation"|"summarization"|"translation"
---@field title string
---@field language string
---@field uri string
---@field range lsp.Range
---@field text string The whole text so far.
---@field done boolean
---@field error? string

---@type table<string, integer> Buffers by the id of their preview.
local buffers = {}

---@param preview cato.Preview
local function show_in_place(preview)
  local bufnr = vim.uri_to_bufnr(preview.uri)
  local mark = tonumber(vim.fn.sha256(preview.id):sub(1, 7), 16)
  if preview.done or not vim.api.nvim_buf_is_loaded(bufnr) then
    pcall(vim.api.nvim_buf_del_extmark, bufnr, NAMESPACE, mark)
    return
  end
  local lines = {}
  for line in vim.gsplit(preview.text, "\n", { plain = true }) do
    table.insert(lines, { { line, "ComplHint" } })
  end
  local row = math.min(preview.range["end"].line, vim.api.nvim_buf_line_count(bufnr) - 1)
  vim.api.nvim_buf_set_extmark(bufnr, NAMESPACE, row, 0, { id = mark, virt_lines = lines })
end

---@param preview cato.Preview
---@return integer bufnr
local function open(preview)
  local bufnr = vim.api.nvim_create_buf(true, true)
  buffers[preview.id] = bufnr
  vim.api.nvim_buf_set_name(bufnr, ("cato://%s/%s"):format(preview.id, preview.title:gsub("%s+", "-")))
  vim.bo[bufnr].filetype = preview.language
  vim.cmd("botright vsplit")
  vim.api.nvim_win_set_buf(0, bufnr)
  vim.cmd.wincmd("p")
  vim.api.nvim_create_autocmd("BufWipeout", {
    buffer = bufnr,
    callback = function()
      buffers[preview.id] = nil
      require("cato.tasks").cancel(preview.id)
    end,
  })
  return bufnr
end

---@param preview cato.Preview
local function show_in_buffer(preview)
  local bufnr = buffers[preview.id] or open(preview)
  -- Only what is new is written: marks and the cursor of a reader stay.
  local lines = vim.split(preview.text, "\n", { plain = true })
  local shown = vim.api.nvim_buf_get_lines(bufnr, 0, -1, false)
  local same = 0
  while same < #shown and shown[same + 1] == lines[same + 1] do
    same = same + 1
  end
  vim.api.nvim_buf_set_lines(bufnr, same, -1, false, vim.list_slice(lines, same + 1))
  if preview.done then
    buffers[preview.id] = nil
  end
end

---@type lsp.Handler
function M.handler(_, preview)
  ---@cast preview cato.Preview
  local becomes_edit = preview.kind == "generation"
    or (preview.kind == "summarization" and preview.language ~= "markdown")
  if becomes_edit then
    show_in_place(preview)
  elseif preview.text ~= "" or not preview.done then
    show_in_buffer(preview)
  end
  if preview.done and preview.error then
    vim.notify("cato: " .. preview.error)
  end
  return vim.NIL
end

return M
